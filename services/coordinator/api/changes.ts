/** What people change of a sweep after its submission: checked here, decided by the core, answered once recorded. */
import type { ModuleFolder } from '../modules/index.js';
import { WattsweepError } from '../../../proto/errors.js';
import type {
  ArchiveSweepRequest,
  ArchiveSweepResponse,
  CoordinatorServiceServer,
  DeleteSweepRequest,
  DeleteSweepResponse,
  ExtendSweepRequest,
  ExtendSweepResponse,
  LimitChange,
  RerunTrialsRequest,
  RerunTrialsResponse,
  SetLimitsRequest,
  SetLimitsResponse,
  TagSweepRequest,
  TagSweepResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import {
  hasEnded,
  isRerunnable,
  selectRerun,
  spentBudget,
  type ChangeInput,
  type Limits,
  type SweepState,
} from '../core/index.js';
import type { OutputSource } from '../fleet/index.js';
import type { CodeStore } from './code.js';
import { extensionOf } from './extension.js';
import { sweepIn } from './find.js';
import type { GetLeader, Leader } from './leader.js';
import { unary, type OnFault } from './rpc.js';
import { checkTags } from './tags.js';
import { sweepView } from './views.js';

export interface ServiceOptions {
  readonly leader: GetLeader;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onFault: OnFault;
  /** Users' modules that may run; null for none. @default null */
  readonly modules?: ModuleFolder | null;
  readonly boxes: OutputSource;
  /** Null while NATS has not been reached. */
  readonly code: () => CodeStore | null;
}

type Handlers = Pick<
  CoordinatorServiceServer,
  'rerunTrials' | 'extendSweep' | 'setLimits' | 'tagSweep' | 'archiveSweep' | 'deleteSweep'
>;

export function changeHandlers({
  leader,
  now,
  onFault,
}: Pick<ServiceOptions, 'leader' | 'now' | 'onFault'>): Handlers {
  /** Looks, asks the core, and answers from the sweep after it. */
  const change = <Request extends { readonly sweepId: string }, Response>(
    prepare: (sweep: SweepState, request: Request, at: number) => Prepared<Response>,
  ) =>
    unary(async (request: Request): Promise<Response> => {
      const term = await leader();
      const sweep = sweepIn(term.state, request.sweepId);
      const { input, answer } = prepare(sweep, request, now());
      await term.offer([input]);
      // Not the one of before: the state may have been folded anew meanwhile.
      return answer(term, term.state.sweeps.get(sweep.sweepId) ?? sweep);
    }, onFault);

  return {
    rerunTrials: change(rerun),
    extendSweep: change(extend),
    setLimits: change(setLimits),
    tagSweep: change(tag),
    archiveSweep: change(archive),
    deleteSweep: change(remove),
  };
}

interface Prepared<Response> {
  readonly input: ChangeInput;
  readonly answer: (leader: Leader, sweep: SweepState) => Response;
}

const answerSweep = ({ state }: Leader, sweep: SweepState) => ({ sweep: sweepView(sweep, state) });

/** @throws SWEEP_STOPPING, BUDGET_SPENT: there would be nothing left to spend on what is asked for */
function mustBeAbleToGoOn(sweep: SweepState, at: number): void {
  const { sweepId, status } = sweep;
  if (status === 'stopping')
    throw new WattsweepError('SWEEP_STOPPING', `the sweep ${sweepId} is being stopped`);
  const spent = spentBudget(sweep, at);
  if (spent !== null)
    throw new WattsweepError('BUDGET_SPENT', `the sweep ${sweepId} can spend no more: ${spent}`);
}

function rerun(
  sweep: SweepState,
  { trialIds, cancelled, diverged }: RerunTrialsRequest,
  at: number,
): Prepared<RerunTrialsResponse> {
  const { sweepId } = sweep;
  for (const trialId of trialIds) {
    const trial = sweep.trials.get(trialId);
    if (trial === undefined)
      throw new WattsweepError('TRIAL_NOT_FOUND', `the sweep ${sweepId} has no trial ${trialId}`);
    if (isRerunnable(trial)) continue;
    const why = hasEnded(trial) ? 'succeeded' : `has not ended (it is ${trial.state})`;
    throw new WattsweepError('NOTHING_TO_RERUN', `the trial ${trialId} ${why}`);
  }
  const selection = { trialIds: trialIds.length === 0 ? null : trialIds, cancelled, diverged };
  const chosen = selectRerun(sweep, selection).map(({ trialId }) => trialId);
  if (chosen.length === 0) throw new WattsweepError('NOTHING_TO_RERUN', nothingToRerun(sweep));
  mustBeAbleToGoOn(sweep, at);
  return {
    // By name: what fails meanwhile was not meant.
    input: { type: 'rerun', sweepId, selection: { ...selection, trialIds: chosen }, at },
    answer: ({ state }, after) => ({ sweep: sweepView(after, state), trialIds: chosen }),
  };
}

function nothingToRerun({ sweepId, trials }: SweepState): string {
  const counts = new Map<string, number>();
  for (const { state } of trials.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
  const others = ['diverged', 'cancelled', 'stopped'].flatMap((state) => {
    const count = counts.get(state);
    return count === undefined ? [] : [`${count} ${state}`];
  });
  return `no trial of ${sweepId} that may run again has failed${others.length === 0 ? '' : ` (${others.join(', ')})`}`;
}

function extend(sweep: SweepState, request: ExtendSweepRequest, at: number): Prepared<ExtendSweepResponse> {
  const { spec, change } = extensionOf(sweep.spec, request);
  mustBeAbleToGoOn(sweep, at);
  return {
    input: { type: 'extend', sweepId: sweep.sweepId, spec, change, at },
    answer: ({ state }, after) => ({ sweep: sweepView(after, state), change }),
  };
}

const LIMITS: Readonly<Record<string, { readonly field: keyof Limits; readonly whole: boolean }>> = {
  max_parallel: { field: 'maxParallel', whole: true },
  'budget.energy_wh': { field: 'energyWh', whole: false },
  'budget.hours': { field: 'hours', whole: false },
  priority: { field: 'priority', whole: false },
};
const HIGHEST_PRIORITY = 1_000;

function setLimits(
  { sweepId }: SweepState,
  { changes }: SetLimitsRequest,
  at: number,
): Prepared<SetLimitsResponse> {
  if (changes.length === 0)
    throw new WattsweepError('USAGE', `nothing is to be set; there are ${Object.keys(LIMITS).join(', ')}`);
  const wanted = Object.fromEntries(changes.map(checkedLimit));
  return { input: { type: 'set_limits', sweepId, changes: wanted, at }, answer: answerSweep };
}

/** @throws USAGE */
function checkedLimit({ key, value }: LimitChange): [keyof Limits, number | null] {
  const limit = Object.hasOwn(LIMITS, key) ? LIMITS[key] : undefined;
  if (limit === undefined) {
    const names = Object.keys(LIMITS).join(', ');
    throw new WattsweepError('USAGE', `\`${key}\` cannot be set while a sweep runs; there are ${names}`);
  }
  if (value === undefined) return [limit.field, key === 'priority' ? 1 : null];
  const most = key === 'priority' ? HIGHEST_PRIORITY : Number.MAX_VALUE;
  if (!(value > 0 && value <= most) || (limit.whole && !Number.isSafeInteger(value))) {
    const range = limit.whole
      ? 'a whole number from 1'
      : key === 'priority'
        ? `above 0, at most ${most}`
        : 'a number above 0';
    throw new WattsweepError('USAGE', `${key} is ${range}, not ${value}`);
  }
  return [limit.field, value];
}

function tag(
  { sweepId }: SweepState,
  { add, remove: gone }: TagSweepRequest,
  at: number,
): Prepared<TagSweepResponse> {
  checkTags(add);
  return { input: { type: 'tag', sweepId, add, remove: gone, at }, answer: answerSweep };
}

function archive(
  { sweepId, endedAt }: SweepState,
  { archived }: ArchiveSweepRequest,
  at: number,
): Prepared<ArchiveSweepResponse> {
  if (archived && endedAt === null)
    throw new WattsweepError('SWEEP_RUNNING', `the sweep ${sweepId} has not ended`, {
      advice: 'Stop it first, or wait for its end; only what has ended is archived.',
    });
  return { input: { type: 'archive', sweepId, archived, at }, answer: answerSweep };
}

function remove(sweep: SweepState, { force }: DeleteSweepRequest, at: number): Prepared<DeleteSweepResponse> {
  const { sweepId, endedAt, trials } = sweep;
  if (endedAt === null && !force)
    throw new WattsweepError('SWEEP_RUNNING', `the sweep ${sweepId} has not ended`);
  const epochs = [...trials.values()].reduce((sum, trial) => sum + trial.epochs.length, 0);
  return {
    input: { type: 'delete', sweepId, force, at },
    answer: ({ state }) => ({ deleted: !state.sweeps.has(sweepId), trials: trials.size, epochs }),
  };
}
