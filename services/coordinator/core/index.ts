/**
 * The pure core: what Wattsweep decides. `decide` takes an input and gives events and actions; `fold` rebuilds the
 * state from recorded events. Search lives in `search/`, stopping rules in `stopping/`. Nothing here knows NATS, gRPC,
 * files, clocks or random sources.
 */
export { decide, type Decided } from './decide.js';
export { beforeFold, fold } from './fold.js';
export { BrokenLogError, hasEnded } from './lookup.js';
export { simulate, type CurveReport, type SimulatedDecision, type Simulation } from './simulation.js';
export { Replay, type Difference } from './replay.js';
export { isRerunnable, selectRerun } from './changes.js';
export { lackOf, waitingReason } from './waiting.js';
export { capacity, isOpen, slotsNeeded, suits } from './resources.js';
export { heldKey, type HeldAttempt, type Quarantine } from './state.js';
export { spentBudget } from './reports.js';
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
} from './notification.js';
export { JOULES_PER_WH } from './budget.js';
export { ashaRungs } from './stopping/index.js';
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
