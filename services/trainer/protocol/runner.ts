/**
 * The line protocol between a trainer's slot supervisor and the runner child that it starts.
 *
 * Commands go down the runner's standard input, facts come up on file descriptor 3; both are one JSON object a line.
 * The supervisor stores the facts in the attempt's spool as they are; the trainer service reads the spool. The
 * runner's own stdout and stderr are free for whatever a program prints: they are kept as the attempt's log.
 *
 * Times named `...MonotonicMs` are `process.hrtime` (CLOCK_MONOTONIC, one clock for every process of a host): the power
 * meter lives in the service and integrates over the windows that the runner names, so no reading crosses a process.
 */

/** What identifies an attempt everywhere: in commands, spools, subjects and the ledger. */
export interface AttemptKey {
  readonly sweepId: string;
  readonly trialId: string;
  /** 1 for a trial's first attempt; each rerun or resume has the next number. */
  readonly attempt: number;
  /** Id of the term that assigned it, and of the one that made the trial; absent from a coordinator that told none. */
  readonly termId?: string;
  readonly trialTermId?: string;
}

/** A parameter's value, as it stands in the sweep file. */
export type ParameterValue =
  string | number | boolean | null | readonly ParameterValue[] | { readonly [key: string]: ParameterValue };

export type Parameters = Readonly<Record<string, ParameterValue>>;

/** The device that a slot gives to its attempt. */
export interface SlotDevice {
  readonly kind: 'gpu' | 'cpu';
  /** GPU UUIDs as NVML prints them; empty for a CPU slot. */
  readonly uuids: readonly string[];
  /** Model name, e.g. `NVIDIA GeForce RTX 4060 Ti` or the CPU's model. */
  readonly model: string;
  /** Threads that the attempt may use. */
  readonly threads: number;
}

/** From what the epochs of a program are read that does not report itself; paths are seen from where it runs. */
export type Collect =
  | { readonly regex: string }
  | { readonly kerasCsv: string }
  | {
      readonly tensorboard: {
        readonly folder: string;
        /** Tag by metric. */
        readonly metrics: Readonly<Record<string, string>>;
        readonly epochs: 'from_0' | 'from_1' | 'count';
      };
    };

/** Everything that a runner needs to train one attempt. */
export interface AttemptSpec {
  readonly key: AttemptKey;
  readonly recipe: string;
  /** Program and arguments, for the command recipe only; else empty. Templates are filled in already. */
  readonly command: readonly string[];
  readonly parameters: Parameters;
  /** Epochs at which the attempt is complete; schedules that are fractions refer to it. */
  readonly maxEpochs: number;
  /** 32-bit seed of this trial (paired across points for equal repeats). */
  readonly seed: number;
  /** Which repeat of its setting the trial is, from 1. */
  readonly repeat: number;
  /** Name of the metric that the sweep optimises. */
  readonly objective: string;
  readonly device: SlotDevice;
  /** Folder of this attempt; the recipe makes it when it needs it. */
  readonly workDir: string;
  /** Where a program runs; absent: in `workDir`. */
  readonly runDir?: string;
  /** Code that a program sees where it runs: an unpacked folder, and the part of it that is meant; absent: none. */
  readonly code?: { readonly dir: string; readonly folder: string };
  /** Where a program's environment is written for a wrapper that does not pass it on by itself; absent: nowhere. */
  readonly environmentFile?: string;
  /** Absent: a program reports itself. */
  readonly collect?: Collect;
  /** Folder whose content follows the trial to its next attempt; the recipe makes it when it needs it. */
  readonly checkpointDir: string;
  /** Folder of an earlier checkpoint to go on from, or null. */
  readonly resumeFrom: string | null;
}

export type StopMode = 'stop' | 'pause' | 'cancel';

/** Supervisor to runner. End of input means that the supervisor is gone: the runner checkpoints and exits. */
export type RunnerCommand =
  | {
      readonly type: 'run';
      readonly attempt: AttemptSpec;
      /** For every process that the runner starts for this attempt, and for none of another: the token, sweep, number. */
      readonly environment: Readonly<Record<string, string>>;
    }
  | { readonly type: 'stop'; readonly mode: StopMode };

/** A half-open stretch of time on the host's monotonic clock, in milliseconds. */
export interface TimeWindow {
  readonly beginMonotonicMs: number;
  readonly endMonotonicMs: number;
}

/** Why an attempt ended, as the runner or the supervisor saw it. */
export type AttemptEndClass =
  'completed' | 'stopped' | 'diverged' | 'crashed' | 'out_of_memory' | 'refused' | 'preempted' | 'lost';

/** Runner (or supervisor, for `end` after a crash) to service. Numbers may be non-finite: see {@link encodeLine}. */
export type RunnerLine =
  | {
      readonly type: 'started';
      readonly device: { readonly kind: 'gpu' | 'cpu'; readonly name: string };
      /** What computes, e.g. `{ name: 'tensorflow', version: '2.21.0', mode: 'graph', precision: 'float32' }`. */
      readonly engine: Readonly<Record<string, string>>;
      readonly trainableParameters: number | null;
      readonly stepsPerEpoch: number | null;
      /** Last epoch that `resumeFrom` held; 0 for a fresh start. */
      readonly resumedEpoch: number;
      /** Watts that the recipe states from here on; heard only of a recipe that declares an `energyMethod`. */
      readonly watts?: number;
    }
  | {
      readonly type: 'step';
      readonly epoch: number;
      /** Optimizer steps since the trial's first, 1-based. */
      readonly step: number;
      readonly metrics: Readonly<Record<string, number>>;
    }
  | {
      readonly type: 'epoch';
      /** 1-based; rises by one within an attempt. */
      readonly epoch: number;
      readonly step: number;
      readonly metrics: Readonly<Record<string, number>>;
      readonly trainSeconds: number | null;
      readonly evaluationSeconds: number | null;
      readonly dataWaitSeconds: number | null;
      readonly samplesPerSecond: number | null;
      readonly trainWindow: TimeWindow | null;
      readonly evaluationWindow: TimeWindow | null;
      /** Joules that the recipe states itself; heard only of a recipe that declares an `energyMethod`. */
      readonly trainJoules?: number;
      readonly evaluationJoules?: number;
    }
  | { readonly type: 'checkpoint'; readonly epoch: number; readonly path: string }
  | {
      readonly type: 'end';
      readonly class: AttemptEndClass;
      /** An error code of the registry (`proto/errors.ts`), or empty when nothing went wrong. */
      readonly code: string;
      readonly message: string;
      /**
       * The runner has put away everything of this attempt and waits for the next `run`. Without it, it exits by itself or
       * when its input ends.
       */
      readonly stays?: boolean;
    };

const NON_FINITE: ReadonlyMap<string, number> = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

/** JSON has no NaN: non-finite numbers travel as the strings `NaN`, `Infinity` and `-Infinity`. */
export function encodeLine(line: RunnerLine | RunnerCommand): string {
  // The replacer is slow, and most lines are finite.
  if (!hasNonFinite(line)) return JSON.stringify(line);
  return JSON.stringify(line, (_key, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

const hasNonFinite = (value: unknown): boolean =>
  typeof value === 'number'
    ? !Number.isFinite(value)
    : typeof value === 'object' && value !== null && Object.values(value).some(hasNonFinite);

/** A number as {@link encodeLine} writes it, or undefined when `value` is none. */
export function decodeNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? NON_FINITE.get(value) : undefined;
}
