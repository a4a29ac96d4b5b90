/** Which setting has which colour: the same in every picture of a report. */
import type { Report } from '../../types.js';
import { markup, type Markup } from '../markup.js';
import { SERIES } from '../style.js';

export interface Series {
  /** `s1` to `s6` for the settings of the answer and the best others, `s0` (grey) for the rest. */
  readonly classOf: (settingId: string) => string;
  readonly legend: Markup;
}

export function assignSeries(report: Report): Series {
  const { fastestCellId, cheapestCellId } = report.answer;
  const answers = [fastestCellId, cheapestCellId].flatMap(
    (id) => report.cells.find((cell) => cell.cellId === id)?.settingId ?? [],
  );
  const ranked = report.trials.filter((trial) => trial.rank !== null).map((trial) => trial.settingId);
  const order = [...new Set([...answers, ...ranked])];
  const places = new Map(order.slice(0, SERIES).map((id, i) => [id, `s${i + 1}`]));
  const labels = new Map(report.cells.map((cell) => [cell.settingId, cell.label]));
  const items = [...places].map(([id, name]) => [name, labels.get(id) ?? id] as const);
  const others = new Set(report.cells.map((cell) => cell.settingId)).size - places.size;
  const all = others > 0 ? [...items, ['s0', `${others} more`] as const] : items;
  return {
    classOf: (id) => places.get(id) ?? 's0',
    legend: markup`<ul class="legend">${all.map(
      ([name, label]) =>
        markup`<li><svg viewBox="0 0 34 10" aria-hidden="true"><path class="curve ${name}" d="M1 5H33"/></svg>${label}</li>`,
    )}</ul>`,
  };
}
