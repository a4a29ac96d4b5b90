/** From a sweep's state to its report. Pure: the same state and moment give the same report. */
import type { TrialState, UnixMs } from '../core/events.js';
import type { Parameters, StoppingSpec, SweepSpec } from '../core/spec.js';
import type { SweepState } from '../core/state.js';
import { programText } from '../core/variants.js';
import { sumOrNull } from './analysis/cost.js';
import { answer } from './answer.js';
import { buildCells, buildFronts } from './cells.js';
import { labelSettings } from './labels.js';
import { count } from './render/format.js';
import { savings, stoppedByRule, stoppedTrials } from './stops.js';
import { leaderboard, levelsOf, summarizeTrial } from './trials.js';
import type { DeviceSummary, Report, ShippedCode, SweepHeader, TrialSummary } from './types.js';
import { buildWarnings, definitions } from './warnings.js';

const iso = (at: UnixMs): string => new Date(at).toISOString();

function stoppingText(rule: StoppingSpec): string {
  switch (rule.rule) {
    case 'asha': {
      const within =
        rule.compareWithin.length > 0 ? `, compared within ${rule.compareWithin.join(', ')}` : '';
      const window = rule.window > 1 ? `, mean of ${rule.window} epochs` : '';
      return `asha${rule.mode === 'promote' ? ', promotion' : ''}${rule.pareto === undefined ? '' : ` by non-dominated sorting with ${rule.pareto.join(', ')}`}: first rung ${rule.firstRung}, eta ${rule.eta}${window}${within}`;
    }
    case 'patience':
      return `patience: ${count(rule.patience, 'epoch')} without a gain of ${rule.minDelta}, from epoch ${rule.startEpoch}`;
    case 'threshold':
      return `threshold: ${rule.bound} from epoch ${rule.fromEpoch}`;
    case 'median':
      return `median: of at least ${count(rule.minTrials, 'other trial')}, after ${count(rule.grace, 'epoch')}`;
    case 'energy_to_target':
      return `energy to target: gains of ${count(rule.window, 'epoch')} times ${rule.optimism}, from epoch ${rule.fromEpoch}`;
    case 'hyperband':
      return `hyperband: eta ${rule.eta}`;
    case 'composite':
      return `any of (${rule.rules.map(stoppingText).join('; ')})`;
    case 'module':
      return `the module ${rule.ref.module}`;
    case 'none':
      return 'none';
  }
}

function shippedCode({ code }: SweepSpec): ShippedCode | null {
  if (code === undefined) return null;
  const { folder, sha256, bytes = null, files = null, git = null } = code;
  return { folder, sha256, bytes, files, git };
}

function header(sweep: SweepState, trials: readonly TrialSummary[], now: UnixMs): SweepHeader {
  const { spec } = sweep;
  const byState: Partial<Record<TrialState, number>> = {};
  for (const { state } of sweep.trials.values()) byState[state] = (byState[state] ?? 0) + 1;
  const ran = trials.filter((trial) => trial.epochs > 0);
  const wasted = trials.map((trial) => trial.wastedJoules).filter((joules) => joules !== null);
  return {
    sweepId: sweep.sweepId,
    name: spec.name,
    recipe: programText(spec),
    code: shippedCode(spec),
    status: sweep.status,
    reason: sweep.reason,
    submittedAt: iso(sweep.submittedAt),
    endedAt: sweep.endedAt === null ? null : iso(sweep.endedAt),
    generatedAt: iso(now),
    objective: { metric: spec.objective.metric, goal: spec.objective.goal, target: spec.objective.target },
    levels: levelsOf(spec),
    hold: { window: spec.objective.holdEpochs, tolerance: spec.objective.holdTolerance },
    maxEpochs: spec.maxEpochs,
    repeats: spec.repeats,
    seed: spec.seed,
    stopping: stoppingText(spec.stopping),
    points: { all: sweep.points, tried: new Set(trials.map((trial) => trial.settingId)).size },
    trials: { total: sweep.trials.size, byState },
    epochs: ran.reduce((sum, trial) => sum + trial.epochs, 0),
    seconds: sumOrNull(ran.map((trial) => trial.seconds)),
    joules: sumOrNull(ran.map((trial) => trial.joules)),
    wastedJoules: sumOrNull(wasted),
  };
}

function devices(trials: readonly TrialSummary[]): readonly DeviceSummary[] {
  const names = [...new Set(trials.flatMap((trial) => trial.device ?? []))];
  return names.map((device) => {
    const own = trials.filter((trial) => trial.device === device);
    return {
      device,
      trials: own.length,
      trainers: [...new Set(own.flatMap((trial) => trial.trainers))].sort(),
      powerMethods: [...new Set(own.flatMap((trial) => trial.powerMethods))],
    };
  });
}

function engines(sweep: SweepState): readonly Readonly<Record<string, string>>[] {
  const byText = new Map<string, Readonly<Record<string, string>>>();
  for (const trial of sweep.trials.values()) {
    for (const { engine } of trial.attempts) {
      const entries = Object.entries(engine).sort(([a], [b]) => (a < b ? -1 : 1));
      if (entries.length > 0) byText.set(JSON.stringify(entries), engine);
    }
  }
  return [...byText.values()];
}

/** Version of the shape in `types.ts`. */
export const reportSchemaVersion = 1;

/** The report of a sweep as it stands; `now` is when it is made. */
export function buildReport(sweep: SweepState, { now }: { readonly now: UnixMs }): Report {
  const { spec } = sweep;
  const records = [...sweep.trials.values()];
  const points = new Map<string, Parameters>(records.map((trial) => [trial.pointHash, trial.parameters]));
  const labels = labelSettings(spec, points);
  const trials = leaderboard(
    records.map((trial) => summarizeTrial(trial, spec, labels)),
    spec,
  );
  const cells = buildCells(trials, spec, labels, stoppedByRule(sweep));
  const stopped = stoppedTrials(sweep, trials);
  const inProgress = sweep.status !== 'completed' && sweep.status !== 'stopped';
  return {
    schemaVersion: reportSchemaVersion,
    answer: answer(spec, cells, trials, inProgress),
    sweep: header(sweep, trials, now),
    devices: devices(trials),
    engines: engines(sweep),
    variedParameters: labels.varied,
    cells,
    trials,
    stopped,
    savings: savings(sweep, stopped, trials),
    pareto: buildFronts(cells, trials, spec),
    warnings: buildWarnings(sweep, cells, trials, stopped, inProgress),
    definitions: definitions(spec, cells),
  };
}
