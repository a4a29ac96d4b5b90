/** Energy to each level, a bar a setting; time where nothing read the energy. One picture a level. */
import { scaleLinear } from 'd3-scale';
import { isReached } from '../../cells.js';
import type { Aggregate } from '../../analysis/repeats.js';
import type { Cell, Report } from '../../types.js';
import { aggregateText, count, inUnit, levelText, NOT_READ, type Unit } from '../format.js';
import { markup, type Markup } from '../markup.js';
import { hasEnergy, levelUnit } from '../tables.js';
import { at, figure } from './frame.js';
import type { Series } from './series.js';

const WIDTH = 360;
const ROW = 40;
const MAX_BARS = 8;
/** Room for the number behind the longest bar. */
const VALUE_ROOM = 96;
/** Letters that fit the picture's width as they are, and squeezed as far as one still likes to read them. */
const EASY_LETTERS = 50;
const MOST_LETTERS = 68;

/** A setting's name above its bar, never wider than the picture: the next one begins there. */
function nameText(name: string): Markup {
  if (name.length <= EASY_LETTERS) return markup`<text x="0" y="12">${name}</text>`;
  // Both ends say something: the parameters that come first in the file, and the ones that differ last.
  const half = (MOST_LETTERS - 1) / 2;
  const short =
    name.length > MOST_LETTERS ? `${name.slice(0, Math.ceil(half))}…${name.slice(-Math.floor(half))}` : name;
  return markup`<text x="0" y="12" textLength="${WIDTH}" lengthAdjust="spacingAndGlyphs">${short}</text>`;
}

interface Bar {
  readonly cell: Cell;
  readonly a: Aggregate;
  readonly value: number;
}

/** Settings that reached the level first, by cost; then those known only to need more than so much, longest first. */
function barsOf(report: Report, place: number, axis: 'seconds' | 'joules'): readonly Bar[] {
  return report.cells
    .flatMap((cell) => {
      const a = cell.levels[place]?.[axis];
      return a?.value == null ? [] : [{ cell, a, value: a.value }];
    })
    .sort(
      (p, q) =>
        Number(isReached(q.a)) - Number(isReached(p.a)) ||
        (isReached(p.a) ? p.value - q.value : q.value - p.value),
    );
}

function levelFigure(
  report: Report,
  level: number,
  all: readonly Bar[],
  unit: Unit,
  axis: 'seconds' | 'joules',
  series: Series,
): Markup {
  const bars = all.slice(0, MAX_BARS);
  const x = scaleLinear(
    [0, Math.max(...bars.map((bar) => bar.value), Number.MIN_VALUE)],
    [0, WIDTH - VALUE_ROOM],
  );
  const rows = bars.map(({ cell, a, value }, i) => {
    const reached = isReached(a);
    const estimate = axis === 'joules' && cell.estimated ? '≈' : '';
    const text = aggregateText({ ...a, sd: a.sd === null ? null : a.sd / unit.size }, (v) => inUnit(v, unit));
    const device = report.devices.length > 1 ? `, ${cell.device}` : '';
    const name = `${reached ? 'fill' : 'fill beyond'} ${series.classOf(cell.settingId)}`;
    const width = Math.max(1, x(value));
    return markup`<g transform="translate(0 ${i * ROW})"><title>${cell.label}${device}: ${estimate}${text} ${unit.symbol}</title>${nameText(`${cell.label}${device}`)}<rect class="${name}" x="0.5" y="18" width="${at(width)}" height="13" rx="2"/><text class="value" x="${at(width + 6)}" y="29">${estimate}${text === NOT_READ ? '' : text}</text></g>`;
  });
  const hidden = all.length - bars.length;
  const reachedBy = all.filter((bar) => isReached(bar.a)).length;
  const what = axis === 'joules' ? 'Energy' : 'Time';
  return figure(
    `${what} to ${report.sweep.objective.metric} ${levelText(level)} (${unit.symbol})`,
    `reached by ${reachedBy} of ${count(report.cells.length, 'setting')}${hidden > 0 ? `; ${hidden} not drawn` : ''}${reachedBy < bars.length ? '; pale: more than this' : ''}`,
    markup`<svg viewBox="0 0 ${WIDTH} ${bars.length * ROW}" role="img" aria-label="${what} to level ${levelText(level)}; the table below holds the numbers.">${rows}</svg>`,
  );
}

/** Figures of the levels that somebody reached. */
export function barPlots(report: Report, series: Series): readonly Markup[] {
  const axis = hasEnergy(report) ? 'joules' : 'seconds';
  const unit = levelUnit(report, axis);
  if (unit === null) return [];
  return report.sweep.levels.flatMap((level, place) => {
    const bars = barsOf(report, place, axis);
    if (!bars.some((bar) => isReached(bar.a))) return [];
    return [levelFigure(report, level, bars, unit, axis, series)];
  });
}
