/** Size, axes and grid that the line pictures share. Coordinates are SVG units; the page scales them. */
import type { ScaleContinuousNumeric } from 'd3-scale';
import { reaches } from '../../analysis/curve.js';
import type { Report } from '../../types.js';
import { markup, type Markup } from '../markup.js';

export type Scale = ScaleContinuousNumeric<number, number>;

export const WIDTH = 480;
export const HEIGHT = 340;
export const LEFT = 50;
export const RIGHT = WIDTH - 46;
export const TOP = 22;
export const BOTTOM = HEIGHT - 40;

/** Coordinates to a tenth: invisible, and half the file. */
export const at = (value: number): string => String(Math.round(value * 10) / 10);

/**
 * The stretch of the objective from a little before the easiest level to the best that any trial reached; null when
 * nobody reached that level. There the settings differ; below it they only differ in how early they were stopped.
 */
export function rangeNearLevels(report: Report): readonly [number, number] | null {
  const { goal } = report.sweep.objective;
  const easiest = report.sweep.levels[0];
  const best = report.trials.find((trial) => trial.rank === 1)?.best?.value;
  if (easiest === undefined || best === undefined || !reaches(best, easiest, goal)) return null;
  const span = Math.max(Math.abs(best - easiest), Math.abs(easiest) * 0.005, Number.EPSILON);
  return goal === 'maximize'
    ? [easiest - 0.4 * span, best + 0.12 * span]
    : [best - 0.12 * span, easiest + 0.4 * span];
}

/** Ticks with labels and a light grid, x below and y to the left; `wholeX` for what comes in whole numbers. */
export function axes(
  x: Scale,
  y: Scale,
  titles: { readonly x: string; readonly y: string; readonly wholeX?: boolean },
): Markup {
  const xText = x.tickFormat(6);
  const yText = y.tickFormat(6);
  const labelled = x
    .ticks(6)
    .filter((tick) => xText(tick) !== '' && (titles.wholeX !== true || Number.isInteger(tick)));
  const label = (tick: number): string => (titles.wholeX === true ? String(tick) : xText(tick));
  return markup`<g aria-hidden="true">${y
    .ticks(6)
    .map(
      (tick) =>
        markup`<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${at(y(tick))}" y2="${at(y(tick))}"/><text class="end" x="${LEFT - 7}" y="${at(y(tick) + 4)}">${yText(tick)}</text>`,
    )}<path class="axis" d="M${LEFT} ${BOTTOM}H${RIGHT}"/>${labelled.map(
    (tick) => markup`<text class="middle" x="${at(x(tick))}" y="${BOTTOM + 18}">${label(tick)}</text>`,
  )}<text class="end" x="${RIGHT}" y="${HEIGHT - 4}">${titles.x}</text><text x="4" y="12">${titles.y}</text></g>`;
}

export const picture = (label: string, body: readonly Markup[], height = HEIGHT): Markup =>
  markup`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${label}">${body}</svg>`;

export const figure = (title: string, remark: string, body: Markup): Markup =>
  markup`<figure><figcaption>${title}<small>${remark}</small></figcaption>${body}</figure>`;
