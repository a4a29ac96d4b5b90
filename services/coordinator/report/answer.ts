/** The sentence that the report opens with: which setting reaches the level for least time, and for least energy. */
import type { SweepSpec } from '../core/spec.js';
import { isBetter } from './analysis/curve.js';
import { isReached } from './cells.js';
import {
  count,
  epochText,
  joulesText,
  levelText,
  listText,
  objectiveText,
  secondsText,
} from './render/format.js';
import { levelsOf } from './trials.js';
import type { Answer, Cell, CellLevel, TrialSummary } from './types.js';

interface Candidate {
  readonly cell: Cell;
  readonly at: CellLevel;
}

interface Field {
  /** Those that may win. */
  readonly pool: readonly Candidate[];
  /** How many cells reached the level at all. */
  readonly reached: number;
}

/** Who may be the answer at a level: those that reached it for sure before others, and in most repeats before others. */
function fieldAt(cells: readonly Cell[], place: number): Field {
  const reached = cells.flatMap((cell) => {
    const at = cell.levels[place];
    return at !== undefined && isReached(at.epochs) ? [{ cell, at }] : [];
  });
  const prefer = (all: readonly Candidate[], is: (at: CellLevel) => boolean): readonly Candidate[] => {
    const some = all.filter(({ at }) => is(at));
    return some.length > 0 ? some : all;
  };
  const sure = prefer(reached, ({ epochs }) => epochs.unconfirmed === 0);
  return { pool: prefer(sure, ({ epochs }) => epochs.reached * 2 >= epochs.n), reached: reached.length };
}

/** The candidate with the smallest value on an axis; ties go to the earlier one. Null when none was read. */
function least(all: readonly Candidate[], axis: 'seconds' | 'joules' | 'epochs'): Candidate | null {
  let found: { readonly candidate: Candidate; readonly value: number } | null = null;
  for (const candidate of all) {
    const value = candidate.at[axis];
    if (isReached(value) && (found === null || value.value < found.value)) {
      found = { candidate, value: value.value };
    }
  }
  return found?.candidate ?? null;
}

function repeatsText({ at }: Candidate): string {
  const { reached, n, kind } = at.epochs;
  if (n === 1) return '';
  return kind === 'mean' ? `, mean of ${n} repeats` : `, median; ${reached} of ${n} repeats reached it`;
}

function epochsText(candidate: Candidate): string {
  const { value, unconfirmed } = candidate.at.epochs;
  const epochs = value === null ? '' : value === 1 ? '1 epoch' : `${epochText(value)} epochs`;
  return `${epochs}${unconfirmed > 0 ? ', unconfirmed' : ''}${repeatsText(candidate)}`;
}

const timeText = ({ at }: Candidate): string =>
  isReached(at.seconds) ? secondsText(at.seconds.value) : 'time not measured';

const energyText = ({ at, cell }: Candidate): string =>
  isReached(at.joules) ? joulesText(at.joules.value, cell.estimated) : 'energy not measured';

interface Wording {
  /** `val_accuracy 0.92`. */
  readonly goal: string;
  readonly name: (cell: Cell) => string;
  readonly rivals: number;
}

function reachedSentence({ pool, reached }: Field, fastest: Candidate, wording: Wording): string {
  const { goal, name, rivals } = wording;
  const cheapest = least(pool, 'joules');
  const measured = pool.filter(({ at }) => isReached(at.joules)).length;
  const among = reached < rivals ? ` ${reached} of ${count(rivals, 'setting')} reached it.` : '';
  const first = name(fastest.cell);
  const epochs = epochsText(fastest);
  if (cheapest === null) {
    const what =
      reached === 1
        ? `Only ${first} reaches ${goal}: in ${timeText(fastest)} (${epochs}).`
        : `${first} reaches ${goal} in the least time: ${timeText(fastest)} (${epochs}).${among}`;
    return `${what} The energy is not known: the power was not read.`;
  }
  const partly =
    measured < pool.length ? `, among the ${measured} of ${pool.length} whose power was read` : '';
  if (reached === 1) {
    return `Only ${first} reaches ${goal}: in ${timeText(fastest)}, for ${energyText(fastest)} (${epochs}).`;
  }
  if (cheapest.cell === fastest.cell) {
    return (
      `${first} reaches ${goal} for both the least time and the least energy: ` +
      `${timeText(fastest)} and ${energyText(fastest)} (${epochs})${partly}.${among}`
    );
  }
  return (
    `${first} reaches ${goal} in the least time: ${timeText(fastest)}, ${energyText(fastest)} (${epochs}); ` +
    `${name(cheapest.cell)} for the least energy: ${energyText(cheapest)}, ${timeText(cheapest)} (${epochsText(cheapest)})${partly}.${among}`
  );
}

function closest(trials: readonly TrialSummary[], spec: SweepSpec): TrialSummary | null {
  let found: TrialSummary | null = null;
  for (const trial of trials) {
    if (trial.rank === null || trial.best === null) continue;
    if (found?.best == null || isBetter(trial.best.value, found.best.value, spec.objective.goal))
      found = trial;
  }
  return found;
}

/** Whether the closest trial touched the level without holding it. */
const touched = (trial: TrialSummary, level: number): number | null =>
  trial.levels.find((l) => l.level === level)?.firstHit ?? null;

export function answer(
  spec: SweepSpec,
  cells: readonly Cell[],
  trials: readonly TrialSummary[],
  inProgress: boolean,
): Answer {
  const { metric, goal, target } = spec.objective;
  const levels = levelsOf(spec);
  const best = closest(trials, spec);
  const models = new Set(cells.map((cell) => cell.device));
  const wordingOf = (level: number): Wording => ({
    goal: `${metric} ${goal === 'maximize' ? '' : '≤ '}${levelText(level)}`,
    name: (cell) => (models.size > 1 ? `${cell.label} on ${cell.device}` : cell.label),
    rivals: cells.length,
  });
  const say = (text: string): string =>
    inProgress ? `So far, ${text.replace(/^(No|Only|The) /, (word) => word.toLowerCase())}` : text;
  const nobody: Answer = {
    text: '',
    level: null,
    fastestCellId: null,
    cheapestCellId: null,
    bestTrialId: best?.trialId ?? null,
  };
  if (best?.best == null) {
    const bad = trials.filter((trial) => trial.state === 'diverged' || trial.state === 'failed');
    const states = [...new Set(bad.map((trial) => trial.state))];
    const why = bad.length > 0 ? `: ${count(bad.length, 'trial')} ${listText(states)}` : '';
    return { ...nobody, text: say(`No trial has a value of ${metric}${inProgress ? ' yet' : ''}${why}.`) };
  }
  const bestText = `${best.label} came closest with ${objectiveText(best.best.value)} at epoch ${best.best.epoch}`;

  // The target if there is one, else the hardest level; below it, the hardest level that anybody reached.
  const wanted = target ?? levels.at(-1) ?? null;
  if (wanted === null) {
    return {
      ...nobody,
      text: say(
        `The best ${metric} is ${objectiveText(best.best.value)}, by ${best.label} at epoch ${best.best.epoch}.`,
      ),
    };
  }
  const reachedAt = (place: number): { readonly field: Field; readonly fastest: Candidate } | null => {
    const field = fieldAt(cells, place);
    const fastest = least(field.pool, 'seconds') ?? least(field.pool, 'epochs');
    return fastest === null ? null : { field, fastest };
  };
  const settle = (place: number, prefix: string): Answer | null => {
    const level = levels[place];
    const found = reachedAt(place);
    if (level === undefined || found === null) return null;
    const sentence = reachedSentence(found.field, found.fastest, wordingOf(level));
    return {
      ...nobody,
      text: prefix === '' ? say(sentence) : `${prefix}${sentence}`,
      level,
      fastestCellId: found.fastest.cell.cellId,
      cheapestCellId: least(found.field.pool, 'joules')?.cell.cellId ?? null,
    };
  };

  const start = levels.indexOf(wanted);
  const atWanted = settle(start, '');
  if (atWanted !== null) return atWanted;
  const hit = touched(best, wanted);
  const touch = hit === null ? '' : `, which touched it at epoch ${hit} but did not hold it`;
  const none = `${say(`No trial ${inProgress ? 'has reached' : 'reached'} ${wordingOf(wanted).goal}`)}; ${bestText}${touch}. `;
  for (let place = start - 1; place >= 0; place--) {
    const lower = settle(place, none);
    if (lower !== null) return lower;
  }
  return { ...nobody, text: none.trim(), level: wanted };
}
