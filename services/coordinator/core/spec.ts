/**
 * A sweep as the core sees it: complete, checked, plain JSON. `../spec` makes it from the sweep file; it is recorded
 * in the ledger as it is, so its shape is a format: only add to it.
 */
import type { NotifySpec } from './notify/notification.js';
import type { CodeSpec, ProgramSetup } from './program.js';

/** A parameter's value. */
export type ParameterValue =
  string | number | boolean | null | readonly ParameterValue[] | { readonly [key: string]: ParameterValue };

export type Parameters = Readonly<Record<string, ParameterValue>>;

/** What one parameter takes on. */
export type Domain =
  | { readonly kind: 'constant'; readonly value: ParameterValue }
  | { readonly kind: 'list'; readonly values: readonly ParameterValue[] }
  | {
      readonly kind: 'range';
      readonly min: number;
      readonly max: number;
      readonly scale: 'linear' | 'log';
      readonly integer: boolean;
      /** Number of grid points; null when the search method draws from the range instead. */
      readonly count: number | null;
    }
  /** Computed from the point's other parameters, e.g. `1e-3 * sqrt(batch_size / 32)`. */
  | { readonly kind: 'expression'; readonly expression: string };

/** Named domains, in the order of the file. */
export type Axes = readonly { readonly name: string; readonly domain: Domain }[];

export type Goal = 'maximize' | 'minimize';

export interface ObjectiveSpec {
  readonly metric: string;
  readonly goal: Goal;
  /** A trial that holds this level succeeds early; null for none. */
  readonly target: number | null;
  /** Epochs after the first hit during which the level must hold. @default 5 */
  readonly holdEpochs: number;
  /** How far the metric may fall short meanwhile. @default 0.002 */
  readonly holdTolerance: number;
}

export interface AshaSpec {
  readonly rule: 'asha';
  /** Epochs of the lowest rung, >= 1. */
  readonly firstRung: number;
  /** Reduction factor, >= 2. @default 3 */
  readonly eta: number;
  /** The value at a rung is the mean of the last `window` epochs. @default 1 */
  readonly window: number;
  /** Rank only among trials that share these parameters. @default [] */
  readonly compareWithin: readonly string[];
  /** Number of brackets s = 0..brackets-1. @default 1 */
  readonly brackets: number;
  /** `promote`: trials pause at rungs, and the best go on. Absent: losing trials are stopped. */
  readonly mode?: 'promote';
  /** Of the stopping form; absent in specs of before: 1, whose reports count at every rung that they passed. */
  readonly version?: 2;
  /** Costs that trials are ranked by beside the objective, by non-dominated sorting; absent: by the objective alone. */
  readonly pareto?: readonly CostAxis[];
}

/** What a trial has used when it comes to a rung. */
export type CostAxis = 'joules' | 'seconds';

export interface EnergyToTargetSpec {
  readonly rule: 'energy_to_target';
  /** Epochs of whose gains the largest is taken to last. @default 5 */
  readonly window: number;
  /** Gains are taken to be so many times as large as the curves say, >= 1. @default 2 */
  readonly optimism: number;
  /** No epoch before this one is judged, 1-based. @default 1 */
  readonly fromEpoch: number;
}

export interface HyperbandSpec {
  readonly rule: 'hyperband';
  /** Reduction factor, >= 2. @default 3 */
  readonly eta: number;
}

export interface PatienceSpec {
  readonly rule: 'patience';
  readonly patience: number;
  readonly minDelta: number;
  /** Epochs before this one do not count, 1-based. @default 1 */
  readonly startEpoch: number;
}

export interface ThresholdSpec {
  readonly rule: 'threshold';
  readonly bound: number;
  /** @default 1 */
  readonly fromEpoch: number;
}

export interface MedianSpec {
  readonly rule: 'median';
  /** Epochs of a trial that are not judged. @default 1 */
  readonly grace: number;
  /** Other trials that must have reached an epoch before it is judged. @default 3 */
  readonly minTrials: number;
}

/** Rules that may act together. */
export type SingleRuleSpec = AshaSpec | PatienceSpec | ThresholdSpec | MedianSpec | EnergyToTargetSpec;

/** A user's module. */
export interface ModuleRef {
  /** Path of the file, seen from the coordinator's folder of modules. */
  readonly module: string;
  /** SHA-256 of its text, hexadecimal; empty in a file's spec, filled in when the sweep is submitted. */
  readonly hash: string;
  /** What the file gives it, as it is. */
  readonly options: ParameterValue;
}

export interface ModuleRuleSpec {
  readonly rule: 'module';
  readonly ref: ModuleRef;
}

export interface CompositeSpec {
  readonly rule: 'composite';
  /** At least one; any of them may stop a trial. */
  readonly rules: readonly SingleRuleSpec[];
}

export interface NoRuleSpec {
  readonly rule: 'none';
}

export type StoppingSpec = SingleRuleSpec | HyperbandSpec | ModuleRuleSpec | CompositeSpec | NoRuleSpec;

export interface TrialLimitsSpec {
  /** Seconds of a trial's training and evaluation, all attempts together; null for no limit. */
  readonly maxSeconds: number | null;
  /** Watt-hours of a trial, retrained epochs included; null for no limit. */
  readonly maxEnergyWh: number | null;
}

interface SearchCommon {
  /** Whole points that run before any of the method's. Absent in specs of versions that had none. */
  readonly enqueue?: readonly Parameters[];
  /** Whole points that an extension has added: they run after all others. */
  readonly added?: readonly Parameters[];
}

/** How methods that draw choose among the branches. */
interface DrawnSpec extends SearchCommon {
  /** Points in all, the enqueued ones included. */
  readonly trials: number;
  /** Weight of each branch of `cases`, all positive. @default 1 each */
  readonly caseWeights: readonly number[];
}

/** Every combination. */
export interface GridSpec extends SearchCommon {
  readonly method: 'grid';
}

export interface RandomSpec extends DrawnSpec {
  readonly method: 'random';
}

export interface SobolSpec extends DrawnSpec {
  readonly method: 'sobol';
  /** Owen's nested scrambling, or the sequence as it is. @default 'owen' */
  readonly scramble: 'owen' | 'none';
}

/** The points that the file lists, in its order. */
export interface ListSpec extends SearchCommon {
  readonly method: 'list';
  readonly points: readonly Parameters[];
}

/** What a point of an earlier sweep gave. */
export interface WarmResult {
  readonly parameters: Parameters;
  /** Last epoch with a finite objective; 0 for none. */
  readonly epoch: number;
  /** The objective there; null for none, as of a trial that diverged. */
  readonly value: number | null;
}

export interface TpeSpec extends DrawnSpec {
  readonly method: 'tpe';
  /** Results before the model is asked; until then points come from a scrambled Sobol sequence. @default 10 */
  readonly startup: number;
  /** Candidates drawn for a proposal. @default 24 */
  readonly candidates: number;
  /** Share of the results that counts as good. @default 0.1 */
  readonly gamma: number;
  /** Earlier sweep whose results the model knows from the start; null for none. @default null */
  readonly warmStart: {
    readonly sweepId: string;
    /** Empty in a file's spec; filled in when the sweep is submitted. */
    readonly results: readonly WarmResult[];
  } | null;
}

export interface ModuleSearchSpec extends DrawnSpec {
  readonly method: 'module';
  readonly ref: ModuleRef;
}

export type SearchSpec = GridSpec | RandomSpec | SobolSpec | ListSpec | TpeSpec | ModuleSearchSpec;

export interface BudgetSpec {
  /** Watt-hours of the whole sweep, retrained epochs included; null for no limit. */
  readonly energyWh: number | null;
  /** Hours since the sweep's first attempt; null for no limit. */
  readonly hours: number | null;
}

/** What a person may change while the sweep runs; the sweep file says how it begins. */
export interface Limits {
  /** Attempts at the same time; null for as many as there are slots. */
  readonly maxParallel: number | null;
  /** Watt-hours of the whole sweep; null for no limit. */
  readonly energyWh: number | null;
  /** Hours since the first attempt, those between an end and a reopening left out; null for no limit. */
  readonly hours: number | null;
  /** Weight among sweeps: slots in use are shared in proportion to it. Above 0. */
  readonly priority: number;
}

export interface ResourcesSpec {
  /** GPUs a trial, all of one box and model; 0 for a CPU. Null: whatever slot there is. */
  readonly gpus: number | null;
  /** Part of the device model's name, or null. */
  readonly device: string | null;
  /** Gigabytes (10^9 bytes) of memory of each device that others leave; null or absent for any. */
  readonly memoryGb?: number | null;
  /** Labels that the box must have, with their values; absent for none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Retries of a trial by class of its attempts' ends; absent ones as the coordinator has them. */
export interface RetriesSpec {
  readonly crashed?: number;
  readonly lost?: number;
  readonly preempted?: number;
  readonly outOfMemory?: number;
  readonly refused?: number;
}

/** A program among several that the sweep compares. */
export interface VariantSpec extends ProgramSetup {
  readonly recipe: string;
  /** As that of a sweep; empty for a recipe. */
  readonly command: readonly string[];
  /** Parameters that only this one is given. */
  readonly fixed: Parameters;
}

export interface SweepSpec extends ProgramSetup {
  readonly name: string;
  /** `variants` where the parameter of the name `variant` says what runs. */
  readonly recipe: string;
  /** Program and arguments with `{parameter}` templates, for the recipe `command`; else empty. */
  readonly command: readonly string[];
  /** What is shipped to the boxes with the command, or the commands of variants; absent: nothing. */
  readonly code?: CodeSpec;
  readonly objective: ObjectiveSpec;
  /** Levels of the objective for time and energy to accuracy, as in the file. */
  readonly levels: readonly number[];
  readonly maxEpochs: number;
  readonly fixed: Parameters;
  readonly sweep: Axes;
  /** Branches; never empty: a file without `cases` has one branch without axes. */
  readonly cases: readonly Axes[];
  /**
   * Expressions that hold at every point; one that names a parameter which a point does not have does not concern it.
   * Absent in specs of versions that had none.
   */
  readonly constraints?: readonly string[];
  readonly search: SearchSpec;
  readonly stopping: StoppingSpec;
  readonly repeats: number;
  readonly seed: number;
  readonly budget: BudgetSpec;
  /** Absent in specs of versions that had none. */
  readonly trialLimits?: TrialLimitsSpec;
  readonly resources: ResourcesSpec;
  /** Absent in specs of versions that had none. */
  readonly retries?: RetriesSpec;
  /** `blocked`: every repeat of all points is a block, see `placement/blocks.ts`. Absent: wherever a slot is free. */
  readonly placement?: 'blocked';
  /** Attempts at the same time; null for as many as there are slots. */
  readonly maxParallel: number | null;
  /** So many points at the front of `search.enqueue` run one epoch before all others. Absent: none. */
  readonly smoke?: number;
  /** Weight among sweeps, above 0. Absent: 1. */
  readonly priority?: number;
  /** Programs by the value of the parameter `variant`; absent where one runs all trials. */
  readonly variants?: Readonly<Record<string, VariantSpec>>;
  /** Absent: nobody is told. */
  readonly notify?: NotifySpec;
}
