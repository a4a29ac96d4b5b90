/** The best value of each trial against what it had cost when it stood, with the front that nothing beats. */
import { extent } from '../../analysis/extent.js';
import { scaleLinear, scaleLog } from 'd3-scale';
import { curveStepAfter, line } from 'd3-shape';
import { costOfBest } from '../../cells.js';
import type { Report, TrialSummary } from '../../types.js';
import { count, energyUnit, objectiveText, quantity, timeUnit } from '../format.js';
import { markup, nothing, type Markup } from '../markup.js';
import { at, axes, BOTTOM, figure, LEFT, picture, rangeNearLevels, RIGHT, TOP } from './frame.js';
import type { Series } from './series.js';

interface Point {
  readonly trial: TrialSummary;
  readonly cost: number;
  readonly value: number;
}

/** Dots drawn, those of the best trials. */
const MAX_DOTS = 500;

/** A span of costs wider than this is drawn on a logarithmic axis. */
const LOG_FROM_RATIO = 30;

export function tradeoffPlot(report: Report, series: Series): Markup {
  const { metric, goal } = report.sweep.objective;
  const { cost, trialIds } = report.pareto.valueAndCost;
  const near = rangeNearLevels(report);
  const paid = report.trials.flatMap((trial) => {
    const spent = trial.state === 'diverged' ? null : costOfBest(trial, cost);
    return spent === null || spent <= 0 || trial.best === null
      ? []
      : [{ trial, spent, value: trial.best.value }];
  });
  const shown = (near === null ? paid : paid.filter((p) => p.value >= near[0] && p.value <= near[1])).slice(
    0,
    MAX_DOTS,
  );
  if (shown.length === 0) return nothing;
  const unit = (cost === 'joules' ? energyUnit : timeUnit)(shown.map((p) => p.spent));
  const points: readonly Point[] = shown.map((p) => ({
    trial: p.trial,
    cost: p.spent / unit.size,
    value: p.value,
  }));
  const costs = points.map((p) => p.cost);
  const values = points.map((p) => p.value);
  const [least, most] = extent(costs);
  const [low, high] = extent(values);
  const room = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
  const logarithmic = most / least > LOG_FROM_RATIO;
  const x = logarithmic
    ? scaleLog([least * 0.8, most * 1.25], [LEFT, RIGHT])
    : scaleLinear([0, most * 1.06], [LEFT, RIGHT]);
  const y = scaleLinear([low - room, high + room], [BOTTOM, TOP]);

  const onFront = new Set(trialIds);
  const front = points.filter((p) => onFront.has(p.trial.trialId)).sort((a, b) => a.cost - b.cost);
  const path = line<Point>(
    (p) => Math.round(x(p.cost) * 10) / 10,
    (p) => Math.round(y(p.value) * 10) / 10,
  ).curve(curveStepAfter);
  const dots = [...points].reverse().map(({ trial, cost: spent, value }) => {
    const estimate = cost === 'joules' && trial.estimated ? ' (estimate)' : '';
    const device = report.devices.length > 1 ? `, ${trial.device ?? ''}` : '';
    const title = `${trial.label}: ${objectiveText(value)} for ${quantity(spent)} ${unit.symbol}${estimate}${device}`;
    const isFront = onFront.has(trial.trialId);
    const rank =
      isFront && trial.rank !== null
        ? markup`<text class="value end" x="${at(x(spent) - 7)}" y="${at(y(value) - 6)}">${trial.rank}</text>`
        : nothing;
    return markup`<g><title>${title}</title><circle class="end-mark fill ${series.classOf(trial.settingId)}" cx="${at(x(spent))}" cy="${at(y(value))}" r="${isFront ? 6 : 4}"/>${rank}</g>`;
  });
  const what = cost === 'joules' ? 'energy' : 'time';
  const estimated = cost === 'joules' && points.some((p) => p.trial.estimated) ? '; partly an estimate' : '';
  const left = paid.length - shown.length;
  const out = left > 0 ? `; ${count(left, 'trial')} far behind left out` : '';
  return figure(
    `Best ${metric} against the ${what} it took`,
    `${goal === 'maximize' ? 'up' : 'down'} and to the left is better; the line is what nothing beats in both, with places in the leaderboard${out}${estimated}`,
    picture(`Best ${metric} of each trial against ${what}; the tables below hold the numbers.`, [
      axes(x, y, {
        x: `${what} until the best epoch (${unit.symbol}${logarithmic ? ', logarithmic' : ''})`,
        y: metric,
      }),
      markup`<path class="front" d="${path(front) ?? ''}"/>`,
      ...dots,
    ]),
  );
}
