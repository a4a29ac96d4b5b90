/**
 * Search methods and stopping rules that a user brought as a module. The core calls them when it decides, never when it
 * folds: what they answered is recorded, and what a rule is told follows from the recorded arrivals. Which code is meant says
 * the hash of its text, so that the same hash is the same code on every machine; loading it is the edge's (`../modules`).
 */
import type { Decision } from './events.js';
import type { ModuleRef, Parameters, ParameterValue, SweepSpec } from './spec.js';
import type { SweepState, TrialRecord } from './state.js';
import type { Observation, Point, StoppingRule } from './stopping/rule.js';
import type { SearchResult } from './search/method.js';

/** Thrown when a user's module is missing, threw, did not answer in time, or answered what makes no sense. */
export class ModuleFault extends Error {
  override readonly name = 'ModuleFault';
}

/** A report as a module is told of it: an observation as plain data, with what its last epochs cost. */
export type PlainObservation = Omit<Observation, 'recent' | 'history'> & Pick<Point, 'joules' | 'seconds'>;

export interface SpacePlain {
  readonly fixed: Parameters;
  readonly sweep: SweepSpec['sweep'];
  readonly cases: SweepSpec['cases'];
  readonly maxEpochs: number;
  readonly goal: 'maximize' | 'minimize';
  readonly metric: string;
}

/** The loaded code. Every answer is plain JSON data, not yet checked. @throws ModuleFault */
export interface OwnModule {
  /** A rule with nothing in its memory; the number of its session. */
  open(context: object): number;
  /** Whether what was told in that session is still remembered. */
  isOpen(session: number): boolean;
  absorb(session: number, observations: readonly PlainObservation[]): void;
  judge(session: number, observation: PlainObservation): unknown;
  propose(request: object): unknown;
}

const loaded = new Map<string, OwnModule>();

/** Says what code is behind a hash. */
export const provideModule = (hash: string, module: OwnModule): void => void loaded.set(hash, module);

export const isProvided = ({ hash }: Pick<ModuleRef, 'hash'>): boolean => loaded.has(hash);

/** @throws ModuleFault when this process has no code of that hash */
function moduleOf({ module, hash }: ModuleRef): OwnModule {
  const found = loaded.get(hash);
  if (found !== undefined) return found;
  throw new ModuleFault(
    `the text that the sweep was submitted with (sha256 ${hash.slice(0, 12)}) is not in this coordinator's folder of modules; put ${module} back as it was`,
  );
}

/** Name and version as decisions record it. */
export const moduleId = ({ module, hash }: ModuleRef): string =>
  `${module.split('/').at(-1) ?? module}@${hash.slice(0, 8)}`;

interface OwnRuleState {
  /** Trials in the order in which their reports were absorbed. */
  readonly arrivals: string[];
}

/** What the fold keeps of a sweep with a user's rule: the order of arrival, from which the rule is told. */
export const ownRule = (ref: ModuleRef): StoppingRule => ({
  id: moduleId(ref),
  init: () => ({ arrivals: [] }),
  absorb(state, { trialId }) {
    (state as unknown as OwnRuleState).arrivals.push(trialId);
  },
  judge: () => [],
});

interface Told {
  readonly session: number;
  count: number;
  /** Epochs told of each trial. */
  readonly byTrial: Map<string, number>;
}

const sessions = new WeakMap<object, Told>();

/** Reports in one call: a rule that is told of a long sweep anew may take its time for each. */
const TOLD_AT_ONCE = 5_000;

/** What the user's rule says of a trial's newest epoch. @throws ModuleFault */
export function judgeByModule(
  ref: ModuleRef,
  sweep: SweepState,
  newest: Observation,
  observationAt: (trial: TrialRecord, position: number) => Observation,
): Decision[] {
  const module = moduleOf(ref);
  try {
    const known = sessions.get(sweep.rule);
    const told: Told =
      known !== undefined && module.isOpen(known.session)
        ? known
        : { session: module.open(contextOf(sweep.spec, ref)), count: 0, byTrial: new Map() };
    sessions.set(sweep.rule, told);
    const { arrivals } = sweep.rule as unknown as OwnRuleState;
    while (told.count < arrivals.length) {
      const batch = arrivals.slice(told.count, told.count + TOLD_AT_ONCE).flatMap((trialId) => {
        const trial = sweep.trials.get(trialId);
        const position = told.byTrial.get(trialId) ?? 0;
        told.byTrial.set(trialId, position + 1);
        return trial === undefined ? [] : [plain(observationAt(trial, position))];
      });
      module.absorb(told.session, batch);
      told.count += Math.min(TOLD_AT_ONCE, arrivals.length - told.count);
    }
    return checkDecisions(module.judge(told.session, plain(newest)), ref, newest.epoch);
  } catch (error) {
    // Whatever the rule remembers now is not to be trusted: it is told anew.
    sessions.delete(sweep.rule);
    throw error;
  }
}

const plain = (seen: Observation): PlainObservation => {
  const { trialId, index, parameters, repeat, epoch, previousEpoch, value } = seen;
  const point = seen.history(1)[0];
  const cost = { joules: point?.joules ?? null, seconds: point?.seconds ?? null };
  return { trialId, index, parameters, repeat, epoch, previousEpoch, value, ...cost };
};

const spacePlain = ({ fixed, sweep, cases, maxEpochs, objective }: SweepSpec): SpacePlain => ({
  fixed,
  sweep,
  cases,
  maxEpochs,
  goal: objective.goal,
  metric: objective.metric,
});

const contextOf = (spec: SweepSpec, { options }: ModuleRef): object => ({
  ...spacePlain(spec),
  target: spec.objective.target,
  seed: spec.seed,
  options,
});

const MAX_DECISIONS = 20;
const MAX_REASON = 500;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws ModuleFault for anything but a list of decisions with reasons */
function checkDecisions(answer: unknown, ref: ModuleRef, epoch: number): Decision[] {
  const list: unknown = answer ?? [];
  const wrong = (what: string): never => {
    throw new ModuleFault(`judge answered ${what}; it answers a list of { action, reason }`);
  };
  if (!Array.isArray(list)) return wrong(show(list));
  if (list.length > MAX_DECISIONS) return wrong(`${list.length} decisions`);
  return (list as unknown[]).map((item): Decision => {
    if (!isRecord(item)) return wrong(show(item));
    const { action, reason } = item;
    if (action !== 'continue' && action !== 'stop') return wrong(`the action ${show(action)}`);
    if (typeof reason !== 'string' || reason.trim() === '') return wrong('a decision without a reason');
    const number = (name: 'rung' | 'value' | 'rank' | 'n' | 'threshold'): number | null => {
      const value = item[name] ?? null;
      return value === null || (typeof value === 'number' && Number.isFinite(value))
        ? value
        : wrong(`${name} ${show(value)}`);
    };
    return {
      rule: moduleId(ref),
      action,
      epoch,
      rung: number('rung'),
      value: number('value'),
      rank: number('rank'),
      n: number('n'),
      threshold: number('threshold'),
      reason: reason.slice(0, MAX_REASON),
    };
  });
}

/** What the user's search proposes: values by name, or null for no further point. @throws ModuleFault */
export function proposeByModule(
  ref: ModuleRef,
  spec: SweepSpec,
  position: number,
  results: readonly SearchResult[],
): Readonly<Record<string, ParameterValue>> | null {
  const answer = moduleOf(ref).propose({
    ...contextOf(spec, ref),
    position,
    results: results.map(({ parameters, status, lastEpoch, valueAt }) => ({
      parameters,
      status,
      epoch: lastEpoch,
      value: lastEpoch === 0 ? null : valueAt(lastEpoch),
    })),
  });
  if (answer === null || answer === undefined) return null;
  if (!isRecord(answer)) throw new ModuleFault(`propose answered ${show(answer)}; it answers values by name`);
  return answer as Record<string, ParameterValue>;
}

const show = (value: unknown): string => JSON.stringify(value).slice(0, 80);
