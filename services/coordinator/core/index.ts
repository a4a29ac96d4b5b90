/**
 * The pure core: what Wattsweep decides. `decide` takes an input and gives events and actions; `fold/` rebuilds the state
 * from recorded events. Nothing here knows NATS, gRPC, files, clocks or random sources.
 *
 * Beside this file stand the words that all rooms share: events, inputs, the spec, the state. The rooms: `fold/`, what
 * each event does to the state, and nothing else; `lookups/`, what is kept beside the state to be quick and can be made
 * anew from it; `sweeps/`, how trials and sweeps go on and end; `placement/`, which trial gets which slot; `fleet/`,
 * what becomes of boxes; `notify/`, when a webhook is told something; `search/`, which points; `stopping/`, the rules;
 * `hindsight/`, decisions made once more.
 */
export { decide, type Decided } from './decide.js';
export { beforeFold, fold } from './fold/index.js';
export { BrokenLogError, hasEnded, trialTermIdOf } from './find.js';
export {
  simulate,
  type CurveReport,
  type SimulatedDecision,
  type Simulation,
} from './hindsight/simulation.js';
export { Replay, type Difference } from './hindsight/replay.js';
export { isForgettable } from './fleet/index.js';
export { isRerunnable, selectRerun } from './sweeps/changes.js';
export { lackOf, waitingReason } from './placement/waiting-reason.js';
export { capacity, isOpen, slotsNeeded, suits } from './placement/resources.js';
export { heldKey, type HeldAttempt, type Quarantine } from './state.js';
export { spentBudget } from './sweeps/reports.js';
export {
  isProvided,
  ModuleFault,
  provideModule,
  type OwnModule,
  type PlainObservation,
} from './own-modules.js';
export {
  notificationKinds,
  webhookHost,
  type Notification,
  type NotificationKind,
  type NotifySpec,
  type PendingNotification,
} from './notify/notification.js';
export { JOULES_PER_WH } from './joules.js';
export { ashaRungs } from './stopping/index.js';
export { offersAll, programText, recipesOf } from './variants.js';
export type { CodeSpec, CollectSpec, GitState, ProgramSetup } from './program.js';
export {
  initialState,
  newTrainer,
  type AttemptState,
  type State,
  type SweepState,
  type TrainerState,
  type TrialRecord,
} from './state.js';
export type * from './events.js';
export type { Action, ChangeInput, Input, ListedAttempt, ReportInput } from './inputs.js';
export type * from './spec.js';
