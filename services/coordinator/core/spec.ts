/**
 * A sweep as the core sees it: complete, checked, plain JSON. `../spec` makes it from the sweep file; it is recorded
 * in the ledger as it is, so its shape is a format: only add to it.
 */

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

export interface NoRuleSpec {
  readonly rule: 'none';
}

export type StoppingSpec = AshaSpec | PatienceSpec | ThresholdSpec | NoRuleSpec;

export interface SearchSpec {
  readonly method: 'grid';
}

export interface BudgetSpec {
  /** Watt-hours of the whole sweep, retrained epochs included; null for no limit. */
  readonly energyWh: number | null;
  /** Hours since the sweep's first attempt; null for no limit. */
  readonly hours: number | null;
}

export interface ResourcesSpec {
  /** GPUs a trial; 0 or 1 for now. Null: whatever slot there is. */
  readonly gpus: number | null;
  /** Part of the device model's name, or null. */
  readonly device: string | null;
}

export interface SweepSpec {
  readonly name: string;
  readonly recipe: string;
  /** Program and arguments with `{parameter}` templates, for the recipe `command`; else empty. */
  readonly command: readonly string[];
  readonly objective: ObjectiveSpec;
  /** Levels of the objective for time and energy to accuracy, as in the file. */
  readonly levels: readonly number[];
  readonly maxEpochs: number;
  readonly fixed: Parameters;
  readonly sweep: Axes;
  /** Branches; never empty: a file without `cases` has one branch without axes. */
  readonly cases: readonly Axes[];
  readonly search: SearchSpec;
  readonly stopping: StoppingSpec;
  readonly repeats: number;
  readonly seed: number;
  readonly budget: BudgetSpec;
  readonly resources: ResourcesSpec;
  /** Attempts at the same time; null for as many as there are slots. */
  readonly maxParallel: number | null;
}
