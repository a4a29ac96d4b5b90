/**
 * The report as data: plain JSON, the same for Markdown, HTML and programs. `null` is "not read" or "not there", never
 * zero. Seconds and joules are those of accepted epochs, training and evaluation; times are ISO 8601 in UTC. Only add
 * to these shapes; anything else raises `schemaVersion`.
 */
import type { TrialState } from '../core/events.js';
import type { GitState } from '../core/program.js';
import type { Goal, Parameters } from '../core/spec.js';
import type { SweepStatus } from '../core/state.js';
import type { Costs } from './analysis/cost.js';
import type { Metering } from './analysis/metering.js';
import type { EpochValue, TransitionStatus } from './analysis/curve.js';
import type { Aggregate, Spread } from './analysis/repeats.js';

/** The folder that the sweep shipped to the boxes. */
export interface ShippedCode {
  readonly folder: string;
  readonly sha256: string;
  readonly bytes: number | null;
  readonly files: number | null;
  /** Null where it was not known. */
  readonly git: GitState | null;
}

export interface SweepHeader {
  readonly sweepId: string;
  readonly name: string;
  readonly recipe: string;
  /** Null: none. */
  readonly code: ShippedCode | null;
  readonly status: SweepStatus;
  readonly reason: string;
  readonly submittedAt: string;
  readonly endedAt: string | null;
  readonly generatedAt: string;
  readonly objective: { readonly metric: string; readonly goal: Goal; readonly target: number | null };
  /** Levels of the objective, easiest first, the target among them. */
  readonly levels: readonly number[];
  /** The window k (epochs) and tolerance d by which a level counts as reached for sure. */
  readonly hold: { readonly window: number; readonly tolerance: number };
  readonly maxEpochs: number;
  readonly repeats: number;
  readonly seed: number;
  /** The stopping rule in words. */
  readonly stopping: string;
  /** Settings that the search holds, and how many of them have run. */
  readonly points: { readonly all: number; readonly tried: number };
  readonly trials: {
    readonly total: number;
    readonly byState: Readonly<Partial<Record<TrialState, number>>>;
  };
  /** Epochs of all trials. */
  readonly epochs: number;
  readonly seconds: number | null;
  readonly joules: number | null;
  /** Joules that gave no accepted epoch: starting up, cut short, trained again. In no other number here; null: unread. */
  readonly wastedJoules: number | null;
}

export interface DeviceSummary {
  /** Model, or several joined by ` + ` for trials that moved between models. */
  readonly device: string;
  readonly trials: number;
  readonly trainers: readonly string[];
  readonly powerMethods: readonly string[];
}

/** One trial and one level. */
export interface TrialLevel {
  readonly level: number;
  /** First epoch at or beyond the level, held or not. */
  readonly firstHit: number | null;
  readonly status: TransitionStatus;
  /** Epoch of the transition; null when censored. */
  readonly epoch: number | null;
  readonly ranEpochs: number;
  /** Cost of epochs 1..epoch; null when censored or not read. */
  readonly seconds: number | null;
  readonly joules: number | null;
}

export interface TrialSummary {
  readonly trialId: string;
  /** Position in the search's order. */
  readonly index: number;
  /** Place in the leaderboard, 1 is best; null for trials without a value and for diverged and failed ones. */
  readonly rank: number | null;
  readonly settingId: string;
  /** What tells its setting from the others, and the repeat where there are several. */
  readonly label: string;
  readonly repeat: number;
  readonly seed: number;
  readonly parameters: Parameters;
  readonly state: TrialState;
  readonly reason: string;
  /** Error code of a failed trial, else empty. */
  readonly code: string;
  /** How its last attempt ended (`crashed`, `refused`, ...); null while it runs. */
  readonly endClass: string | null;
  /** Null until an attempt has started. */
  readonly device: string | null;
  readonly trainers: readonly string[];
  readonly attempts: number;
  /** The last accepted epoch; 0 before the first. */
  readonly epochs: number;
  readonly best: EpochValue | null;
  readonly final: number | null;
  readonly meanOfLast5: number | null;
  readonly seconds: number | null;
  readonly joules: number | null;
  readonly wastedJoules: number | null;
  /** Mean over all its epochs, the first included. */
  readonly secondsPerEpoch: number | null;
  readonly joulesPerEpoch: number | null;
  /** Energy over time. */
  readonly watts: number | null;
  readonly gpuUtilization: number | null;
  readonly powerMethods: readonly string[];
  /** How well its energy was read, and what of it is above the devices' rest. */
  readonly metering: Metering;
  /** True when some of its joules are an estimate, not a reading. */
  readonly estimated: boolean;
  readonly levels: readonly TrialLevel[];
  /** What was reported, in parallel lists: `values[i]` after epoch `epochs[i]`. A value that was not finite is null. */
  readonly curve: Costs & { readonly values: readonly (number | null)[] };
}

/** One setting on one device model, over its repeats. Device models are never mixed in one cell. */
export interface Cell {
  readonly cellId: string;
  readonly settingId: string;
  readonly label: string;
  readonly device: string;
  readonly trialIds: readonly string[];
  /** The best value of any of its trials that did not diverge. */
  readonly best: (EpochValue & { readonly trialId: string }) | null;
  /** Over repeats, of each trial's best, final and mean of the last five values. */
  readonly bestSpread: Spread | null;
  readonly finalSpread: Spread | null;
  readonly meanOfLast5Spread: Spread | null;
  readonly gpuUtilization: Spread | null;
  readonly watts: Spread | null;
  readonly secondsPerEpoch: Spread | null;
  readonly joulesPerEpoch: Spread | null;
  /** Sums over all its trials; null unless all were read. */
  readonly seconds: number | null;
  readonly joules: number | null;
  readonly powerMethods: readonly string[];
  readonly estimated: boolean;
  readonly levels: readonly CellLevel[];
}

export interface CellLevel {
  readonly level: number;
  readonly epochs: Aggregate;
  readonly seconds: Aggregate;
  readonly joules: Aggregate;
}

/** A trial that ended before `maxEpochs` by a decision, with the numbers of that decision. */
export interface StoppedTrial {
  readonly trialId: string;
  readonly label: string;
  readonly state: TrialState;
  /** Rule and version; null when a person or a budget ended it. */
  readonly rule: string | null;
  readonly epoch: number;
  readonly rung: number | null;
  readonly value: number | null;
  readonly rank: number | null;
  readonly n: number | null;
  readonly threshold: number | null;
  readonly reason: string;
}

/** What a rule's stops spared: an estimate from each stopped trial's own mean per epoch. */
export interface Saving {
  readonly rule: string;
  readonly trials: number;
  readonly epochsNotRun: number;
  readonly estimatedSeconds: number | null;
  readonly estimatedJoules: number | null;
}

export interface ParetoFronts {
  /** Per level: cells that no other cell beats in both time and energy to it. Levels without any are left out. */
  readonly timeAndEnergyToLevel: readonly { readonly level: number; readonly cellIds: readonly string[] }[];
  /** Trials that no other beats in both best value and cost up to it. */
  readonly valueAndCost: { readonly cost: 'joules' | 'seconds'; readonly trialIds: readonly string[] };
}

/** What the report says first. */
export interface Answer {
  readonly text: string;
  /** The level that the answer is about; null when there is none. */
  readonly level: number | null;
  /** Cell with the least time to the level. */
  readonly fastestCellId: string | null;
  /** Cell with the least energy to the level. */
  readonly cheapestCellId: string | null;
  /** Trial with the best value of all. */
  readonly bestTrialId: string | null;
}

/** Codes are for programs and are only added to. */
export type WarningCode =
  | 'in_progress'
  | 'no_power_meter'
  | 'partial_power'
  | 'estimated_power'
  | 'replayed'
  | 'meters_disagree'
  | 'shared_devices'
  | 'wasm_fallback'
  | 'several_devices'
  | 'moved_between_devices'
  | 'unconfirmed_levels'
  | 'stopped_count_as_not_reached'
  | 'target_ends_trials'
  | 'single_repeat'
  | 'chosen_on_validation_data'
  | 'resolution'
  | 'joules_outside_epochs'
  | 'failed_trials';

export interface ReportWarning {
  readonly code: WarningCode;
  readonly text: string;
}

export interface Report {
  readonly schemaVersion: 1;
  readonly answer: Answer;
  readonly sweep: SweepHeader;
  readonly devices: readonly DeviceSummary[];
  /** What computed, each different one once. */
  readonly engines: readonly Readonly<Record<string, string>>[];
  /** Parameters that differ between trials, in the order of the sweep file. */
  readonly variedParameters: readonly string[];
  readonly cells: readonly Cell[];
  /** Best first; then trials without a value, failed ones, diverged ones. Trials that wait are left out. */
  readonly trials: readonly TrialSummary[];
  readonly stopped: readonly StoppedTrial[];
  readonly savings: readonly Saving[];
  readonly pareto: ParetoFronts;
  readonly warnings: readonly ReportWarning[];
  /** How the numbers are defined. */
  readonly definitions: readonly string[];
}
