/** Settings over their repeats, one cell a device model. */
import type { SweepSpec } from '../core/spec.js';
import { isBetter } from './analysis/curve.js';
import { paretoFront, type CostPair } from './analysis/pareto.js';
import { aggregate, spread, type Aggregate, type LevelObservation } from './analysis/repeats.js';
import { costTo, sumOrNull } from './analysis/cost.js';
import type { Labels } from './labels.js';
import { levelsOf } from './trials.js';
import type { Cell, CellLevel, ParetoFronts, TrialLevel, TrialSummary } from './types.js';

function endedBy(trial: TrialSummary, stoppedByRule: ReadonlySet<string>): LevelObservation['endedBy'] {
  if (trial.state === 'diverged') return 'divergence';
  return stoppedByRule.has(trial.trialId) ? 'rule' : 'limit';
}

function observe(
  trial: TrialSummary,
  at: TrialLevel,
  axis: 'epochs' | 'seconds' | 'joules',
  ended: LevelObservation['endedBy'],
): LevelObservation | null {
  // A setting that diverges is of no use at any level that it touched before.
  const status = trial.state === 'diverged' ? 'censored' : at.status;
  const whole = axis === 'epochs' ? trial.epochs : trial[axis];
  const toLevel = axis === 'epochs' ? at.epoch : at[axis];
  const value = status === 'censored' ? whole : toLevel;
  return value === null ? null : { value, status, endedBy: ended };
}

function cellLevel(
  level: number,
  place: number,
  trials: readonly TrialSummary[],
  stoppedByRule: ReadonlySet<string>,
): CellLevel {
  const on = (axis: 'epochs' | 'seconds' | 'joules'): Aggregate =>
    aggregate(
      trials.map((trial) => {
        const at = trial.levels[place];
        return at === undefined ? null : observe(trial, at, axis, endedBy(trial, stoppedByRule));
      }),
    );
  return { level, epochs: on('epochs'), seconds: on('seconds'), joules: on('joules') };
}

function bestOf(trials: readonly TrialSummary[], spec: SweepSpec): Cell['best'] {
  let found: Cell['best'] = null;
  for (const { best, trialId } of trials) {
    if (best !== null && (found === null || isBetter(best.value, found.value, spec.objective.goal))) {
      found = { ...best, trialId };
    }
  }
  return found;
}

/** Cells of the trials that have an epoch, ordered by their parameters, then by device. */
export function buildCells(
  trials: readonly TrialSummary[],
  spec: SweepSpec,
  labels: Labels,
  stoppedByRule: ReadonlySet<string>,
): readonly Cell[] {
  const groups = new Map<string, TrialSummary[]>();
  const inOrder = [...trials].sort(
    (a, b) =>
      labels.compare(a.settingId, b.settingId) ||
      (a.device ?? '').localeCompare(b.device ?? '', 'en') ||
      a.index - b.index,
  );
  for (const trial of inOrder) {
    if (trial.device === null || trial.epochs === 0) continue;
    const key = JSON.stringify([trial.settingId, trial.device]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [trial]);
    else group.push(trial);
  }
  return [...groups.values()].flatMap((members, i) => {
    const [first] = members;
    if (first?.device == null) return [];
    const sound = members.filter((trial) => trial.state !== 'diverged');
    const over = (read: (trial: TrialSummary) => number | null, of = members): Cell['watts'] =>
      spread(of.map(read));
    const cell: Cell = {
      cellId: `c${i + 1}`,
      settingId: first.settingId,
      label: labels.of(first.settingId),
      device: first.device,
      trialIds: members.map((trial) => trial.trialId),
      best: bestOf(sound, spec),
      bestSpread: over((trial) => trial.best?.value ?? null, sound),
      finalSpread: over((trial) => trial.final, sound),
      meanOfLast5Spread: over((trial) => trial.meanOfLast5, sound),
      gpuUtilization: over((trial) => trial.gpuUtilization),
      watts: over((trial) => trial.watts),
      secondsPerEpoch: over((trial) => trial.secondsPerEpoch),
      joulesPerEpoch: over((trial) => trial.joulesPerEpoch),
      seconds: sumOrNull(members.map((trial) => trial.seconds)),
      joules: sumOrNull(members.map((trial) => trial.joules)),
      powerMethods: [...new Set(members.flatMap((trial) => trial.powerMethods))],
      estimated: members.some((trial) => trial.estimated),
      levels: levelsOf(spec).map((level, place) => cellLevel(level, place, members, stoppedByRule)),
    };
    return [cell];
  });
}

/** Whether an aggregate says when the level was reached. */
export const isReached = (a: Aggregate): a is Aggregate & { readonly value: number } =>
  (a.kind === 'mean' || a.kind === 'median') && a.value !== null;

/** What a trial's best value had cost when it stood; null when not read. */
export const costOfBest = (trial: TrialSummary, cost: 'joules' | 'seconds'): number | null =>
  trial.best === null ? null : costTo(trial.curve, cost, trial.best.epoch);

/** Fronts over cells and trials. Joules are the cost of a value where any trial has them, else seconds. */
export function buildFronts(
  cells: readonly Cell[],
  trials: readonly TrialSummary[],
  spec: SweepSpec,
): ParetoFronts {
  const timeAndEnergyToLevel = levelsOf(spec).flatMap((level, place) => {
    const points = cells.flatMap((cell) => {
      const at = cell.levels[place];
      if (at === undefined || !isReached(at.seconds) || !isReached(at.joules)) return [];
      return [{ cellId: cell.cellId, costs: [at.seconds.value, at.joules.value] as CostPair }];
    });
    if (points.length === 0) return [];
    const front = paretoFront(points.map((point) => point.costs));
    return [{ level, cellIds: front.flatMap((i) => points[i]?.cellId ?? []) }];
  });

  const sound = trials.filter((trial) => trial.state !== 'diverged' && trial.best !== null);
  const cost = sound.some((trial) => costOfBest(trial, 'joules') !== null) ? 'joules' : 'seconds';
  const sign = spec.objective.goal === 'maximize' ? -1 : 1;
  const points = sound.flatMap((trial) => {
    const paid = costOfBest(trial, cost);
    if (paid === null || trial.best === null) return [];
    return [{ trialId: trial.trialId, costs: [paid, sign * trial.best.value] as CostPair }];
  });
  const front = paretoFront(points.map((point) => point.costs));
  return {
    timeAndEnergyToLevel,
    valueAndCost: { cost, trialIds: front.flatMap((i) => points[i]?.trialId ?? []) },
  };
}
