/** The objective by epoch, one line a trial, with levels, rungs and ends: as a whole, and close to the levels. */
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import type { Report, TrialSummary } from '../../types.js';
import { count, levelText, objectiveText } from '../format.js';
import { markup, nothing, type Markup } from '../markup.js';
import { at, axes, BOTTOM, figure, LEFT, picture, rangeNearLevels, RIGHT, TOP, type Scale } from './frame.js';
import type { Series } from './series.js';

/** Lines drawn, the best trials first: more cannot be told apart. */
const MAX_LINES = 150;

/** The levels get a picture of their own when they take up less than one part in so many of the whole. */
const CLOSE_FROM_RATIO = 3;

/** Low outliers (a first epoch, a spike) may leave the picture; the bulk and every level may not. */
const SHOWN_SHARE = 0.97;

const LABEL_HEIGHT = 12;

interface Point {
  readonly epoch: number;
  readonly value: number | null;
}

function valueRange(report: Report, trials: readonly TrialSummary[]): readonly [number, number] {
  const { goal } = report.sweep.objective;
  const values = trials
    .flatMap((trial) => trial.curve.values)
    .filter((value) => value !== null)
    .sort((a, b) => (goal === 'maximize' ? b - a : a - b));
  const shown = values.slice(0, Math.max(1, Math.ceil(values.length * SHOWN_SHARE)));
  // A trial's best value is always in the picture.
  const bests = trials.flatMap((trial) => trial.best?.value ?? []);
  const all = [...shown, ...bests, ...report.sweep.levels];
  const low = all.reduce((a, b) => Math.min(a, b), Infinity);
  const high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const room = (high - low) * 0.04 || Math.abs(high) * 0.01 || 1;
  return [low - room, high + room];
}

interface Window {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

function whole(report: Report, trials: readonly TrialSummary[]): Window {
  const longest = Math.max(2, ...trials.map((trial) => trial.epochs));
  return { x: [0, longest], y: valueRange(report, trials) };
}

/** The part where the levels are; null when nobody got there or the whole shows it as well. */
function close(report: Report, trials: readonly TrialSummary[]): Window | null {
  const { x, y } = whole(report, trials);
  const range = rangeNearLevels(report);
  if (range === null || y[1] - y[0] < CLOSE_FROM_RATIO * (range[1] - range[0])) return null;
  const inside = trials.flatMap(({ curve }) => {
    const i = curve.values.findIndex((v) => v !== null && v >= range[0] && v <= range[1]);
    return curve.epochs[i] ?? [];
  });
  const first = inside.reduce((a, b) => Math.min(a, b), x[1] - 1);
  return { x: [Math.max(x[0], Math.min(first - 1, x[1] - 2)), x[1]], y: range };
}

/** Lines at the levels. Where their labels would lie on one another the target's stays, then the easier ones. */
function levels(report: Report, y: Scale): readonly Markup[] {
  const { target } = report.sweep.objective;
  const inOrder = [...report.sweep.levels].sort((a, b) => Number(b === target) - Number(a === target));
  const labelled: number[] = [];
  return inOrder.map((level) => {
    const place = y(level);
    const isFree = labelled.every((other) => Math.abs(other - place) >= LABEL_HEIGHT);
    if (isFree) labelled.push(place);
    const name = level === target ? 'level target' : 'level';
    return markup`<line class="${name}" x1="${LEFT}" x2="${RIGHT}" y1="${at(place)}" y2="${at(place)}"><title>level ${levelText(level)}</title></line><text x="${RIGHT + 5}" y="${at(place + 4)}">${isFree ? levelText(level) : ''}</text>`;
  });
}

function rungs(report: Report, x: Scale): readonly Markup[] {
  const epochs = [...new Set(report.stopped.flatMap((stop) => stop.rung ?? []))].sort((a, b) => a - b);
  const [from = 0] = x.domain();
  return epochs
    .filter((epoch) => epoch >= from)
    .map(
      (epoch) =>
        markup`<line class="rung" x1="${at(x(epoch))}" x2="${at(x(epoch))}" y1="${TOP}" y2="${BOTTOM}"/><text class="middle" x="${at(x(epoch))}" y="${TOP - 4}">rung ${epoch}</text>`,
    );
}

function endMark(trial: TrialSummary, name: string, x: Scale, y: Scale): Markup {
  const last = trial.curve.values.findLastIndex((value) => value !== null);
  const value = trial.curve.values[last];
  const epoch = trial.curve.epochs[last];
  if (value == null || epoch === undefined) return nothing;
  const [cx, cy] = [x(epoch), y(value)];
  if (cy > BOTTOM + 1 || cy < TOP - 1 || cx < LEFT - 1) return nothing;
  const [left, right, up, down] = [at(cx - 4), at(cx + 4), at(cy - 4), at(cy + 4)];
  if (trial.state === 'stopped') {
    return markup`<path class="cross ${name}" d="M${left} ${up}L${right} ${down}M${left} ${down}L${right} ${up}"/>`;
  }
  if (trial.state === 'diverged' || trial.state === 'failed') {
    return markup`<path class="cross ${name}" d="M${at(cx)} ${up}L${right} ${down}H${left}Z"/>`;
  }
  if (trial.state !== 'succeeded') return nothing;
  return markup`<circle class="end-mark fill ${name}" cx="${at(cx)}" cy="${at(cy)}" r="3.5"/>`;
}

const describe = (trial: TrialSummary): string => {
  const best =
    trial.best === null ? 'no value' : `best ${objectiveText(trial.best.value)} at epoch ${trial.best.epoch}`;
  return `${trial.label}: ${best}; ${trial.state}, ${count(trial.epochs, 'epoch')}`;
};

export function curvesPlot(report: Report, series: Series, part: 'whole' | 'close'): Markup {
  const { metric } = report.sweep.objective;
  const withValues = report.trials.filter((trial) => trial.curve.values.some((value) => value !== null));
  const trials = withValues.slice(0, MAX_LINES);
  if (trials.length === 0) return nothing;
  const window = part === 'whole' ? whole(report, trials) : close(report, trials);
  if (window === null) return nothing;
  const x = scaleLinear(window.x, [LEFT, RIGHT]);
  const y = scaleLinear(window.y, [BOTTOM, TOP]);
  const path = line<Point>(
    (p) => Math.round(x(p.epoch) * 10) / 10,
    (p) => Math.round(y(p.value ?? 0) * 10) / 10,
  ).defined((p) => p.value !== null);
  const clip = `inside-${part}`;
  const lines = [...trials].reverse().map((trial) => {
    const name = series.classOf(trial.settingId);
    const points = trial.curve.values.map((value, i) => ({ epoch: trial.curve.epochs[i] ?? 0, value }));
    return markup`<g><title>${describe(trial)}</title><path class="curve ${name}" clip-path="url(#${clip})" d="${path(points) ?? ''}"/>${endMark(trial, name, x, y)}</g>`;
  });
  const hidden = withValues.length - trials.length;
  const title = part === 'whole' ? `${metric} by epoch` : `The same, close to the levels`;
  return figure(
    title,
    part === 'close'
      ? `from ${objectiveText(window.y[0])} to ${objectiveText(window.y[1])}`
      : `● ran to its end, × stopped, △ diverged or failed${hidden > 0 ? `; the best ${trials.length} of ${withValues.length} trials` : ''}`,
    picture(`${title}, one line a trial; the tables below hold the numbers.`, [
      markup`<clipPath id="${clip}"><rect x="${LEFT}" y="${TOP}" width="${RIGHT - LEFT}" height="${BOTTOM - TOP}"/></clipPath>`,
      axes(x, y, { x: 'epoch', y: metric, wholeX: true }),
      ...rungs(report, x),
      ...levels(report, y),
      ...lines,
    ]),
  );
}
