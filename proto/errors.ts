/**
 * The one registry of error codes: what a person reads, what a program tests, what gRPC and the shell return.
 * An error is told by its code, never by its English.
 */

/** Exit codes of the command line, by cause. */
export const ExitCode = {
  ok: 0,
  /** A fault of Wattsweep's own. */
  internal: 1,
  /** The request is wrong: arguments, sweep file. */
  badInput: 2,
  /** What was asked for does not answer or does not exist. */
  notFound: 3,
  /** This machine lacks something: library, port, disk, permission. */
  environment: 4,
  /** The sweep ended, but no trial succeeded. */
  noResult: 5,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** gRPC status names that Wattsweep uses. */
export type GrpcStatus =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'UNAVAILABLE'
  | 'INTERNAL';

interface ErrorEntry {
  readonly status: GrpcStatus;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  readonly exit: number;
  /** What to do, in one sentence. */
  readonly advice: string;
}

const entry = (status: GrpcStatus, retryable: boolean, exit: number, advice: string): ErrorEntry => ({
  status,
  retryable,
  exit,
  advice,
});

const { internal, badInput, notFound, environment } = ExitCode;

const setup = (advice: string): ErrorEntry => entry('FAILED_PRECONDITION', true, environment, advice);

export const errorRegistry = {
  // The sweep file and the command line.
  SPEC_SYNTAX: entry('INVALID_ARGUMENT', false, badInput, 'Mend the YAML at the place named.'),
  SPEC_UNKNOWN_KEY: entry('INVALID_ARGUMENT', false, badInput, 'Remove the key, or use the one suggested.'),
  SPEC_TYPE: entry('INVALID_ARGUMENT', false, badInput, 'Give a value of the type named.'),
  SPEC_VALUE: entry('INVALID_ARGUMENT', false, badInput, 'Give a value in the range named.'),
  SPEC_MISSING_KEY: entry('INVALID_ARGUMENT', false, badInput, 'Add the key named.'),
  SPEC_EMPTY_GRID: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Give every swept parameter at least one value.',
  ),
  SPEC_EXPRESSION: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Mend the expression; it may use the other parameters by name.',
  ),
  SPEC_UNKNOWN_METRIC: entry('INVALID_ARGUMENT', false, badInput, 'Use a metric that the recipe reports.'),
  SPEC_UNKNOWN_RECIPE: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Use a recipe that ships with Wattsweep, or `command`.',
  ),
  SPEC_STOPPING: entry('INVALID_ARGUMENT', false, badInput, 'Choose rungs below max_epochs.'),
  SPEC_TOO_LARGE: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Keep the sweep file below 1 MiB and without deep aliases.',
  ),
  USAGE: entry('INVALID_ARGUMENT', false, badInput, 'See `wattsweep help`.'),
  FILE_UNREADABLE: entry('INVALID_ARGUMENT', false, badInput, 'Check the path and its permissions.'),
  CURVES_INVALID: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Mend the line named: trial,epoch,value[,seconds,joules], a report a line.',
  ),
  FILE_UNWRITABLE: entry(
    'FAILED_PRECONDITION',
    false,
    environment,
    'Check the folder, its permissions and the room on its disk, or name another one.',
  ),

  // Sweeps, trials, fleet.
  SWEEP_NOT_FOUND: entry('NOT_FOUND', false, notFound, 'List the sweeps with `wattsweep status`.'),
  TRIAL_NOT_FOUND: entry('NOT_FOUND', false, notFound, 'List the trials with `wattsweep status SWEEP`.'),
  SWEEP_ENDED: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Open it again with `wattsweep rerun` or `wattsweep extend`, or submit it anew.',
  ),
  SWEEP_RUNNING: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Stop it first, or add --force: what has run of it is then lost.',
  ),
  SWEEP_STOPPING: entry(
    'FAILED_PRECONDITION',
    true,
    badInput,
    'Wait until its last attempts have ended, and try again.',
  ),
  NOTHING_TO_RERUN: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Look at the trials with `wattsweep status SWEEP`; --cancelled, --diverged or --trial choose others than failed ones.',
  ),
  EXTENSION_REFUSED: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Extend by points, trials, repeats or epochs only, or submit the file as a new sweep.',
  ),
  BUDGET_SPENT: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Raise the budget first, e.g. `wattsweep set SWEEP budget.energy_wh=500`.',
  ),
  REPLAY_DIFFERS: entry(
    'FAILED_PRECONDITION',
    false,
    internal,
    'Run it with the version that made the ledger; if it differs there, too, please report it with the ledger.',
  ),
  NO_TRAINER: entry(
    'FAILED_PRECONDITION',
    true,
    notFound,
    'Start a trainer: `wattsweep trainer` on a box, or `wattsweep up` here.',
  ),
  NOT_ENOUGH_SLOTS: entry('FAILED_PRECONDITION', true, badInput, 'Ask for fewer slots, or add trainers.'),
  BUDGET_WITHOUT_METER: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Add `hours` to the budget, or a box with a power meter.',
  ),
  MODULE_NOT_ALLOWED: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Give the coordinator (or `simulate`) the folder in which the module lies: --modules DIR.',
  ),
  MODULE_INVALID: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Mend the module; docs/modules.md says what it exports.',
  ),
  MODULE_MISSING: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    "Put the module back into the coordinator's folder of modules, as it was when the sweep was submitted, and start the coordinator again.",
  ),
  COORDINATOR_UNREACHABLE: entry(
    'UNAVAILABLE',
    true,
    notFound,
    'Start one with `wattsweep up`, or name it with --server.',
  ),
  TRAINER_UNREACHABLE: entry('UNAVAILABLE', true, notFound, 'Look at the trainer service on that box.'),
  UNAUTHENTICATED: entry(
    'UNAUTHENTICATED',
    false,
    badInput,
    'Give the join token that `wattsweep up --listen` printed.',
  ),

  // Ledger and leadership.
  DEPOSED: entry('ABORTED', true, internal, 'Another coordinator leads now; ask that one.'),
  NOT_LEADER: entry('UNAVAILABLE', true, notFound, 'Another coordinator leads; try again.'),
  STALE_TERM: entry('FAILED_PRECONDITION', false, internal, 'A newer coordinator commands this trainer.'),
  LEDGER_UNREADABLE: entry(
    'INTERNAL',
    false,
    environment,
    'Restore the NATS store, or start with another one; nothing was changed.',
  ),
  LEDGER_VERSION: entry(
    'INTERNAL',
    false,
    environment,
    'This ledger was written by a newer Wattsweep; upgrade this one.',
  ),
  LEDGER_LOST: entry(
    'INTERNAL',
    false,
    environment,
    'Restore the stream LEDGER (docs/runbook.md); or add --new-ledger to begin with an empty one.',
  ),

  // Attempts.
  PARAMETER_REFUSED: entry('INVALID_ARGUMENT', false, badInput, 'Take the value out of the sweep.'),
  RECIPE_NOT_OFFERED: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Opt in on the box with --allow-command, or use a recipe that it offers.',
  ),
  CODE_MISSING: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Submit the sweep with `wattsweep submit` or `wattsweep up`, which pack its folder and put it into NATS.',
  ),
  CODE_REFUSED: entry(
    'INVALID_ARGUMENT',
    false,
    badInput,
    'Leave out of the folder what the program does not need: `.wattsweepignore` names it, as .gitignore does.',
  ),
  REQUIREMENT_MISSING: entry(
    'FAILED_PRECONDITION',
    false,
    badInput,
    'Put the file or the folder named onto the box, as the sweep wants it; other boxes take the trial meanwhile.',
  ),
  POWER_LIMIT_NOT_OFFERED: entry(
    'FAILED_PRECONDITION',
    false,
    environment,
    'Run the trainer of a box with NVIDIA GPUs as root, a slot a GPU; or take gpu_power_limit_watts out of the sweep.',
  ),
  SLOT_BUSY: entry('RESOURCE_EXHAUSTED', true, internal, 'The coordinator tries another slot.'),
  DRAINING: entry('UNAVAILABLE', true, internal, 'The coordinator tries another box.'),
  ATTEMPT_CRASHED: entry('INTERNAL', true, internal, "Read the attempt's log on its box."),
  ATTEMPT_OUT_OF_MEMORY: entry(
    'RESOURCE_EXHAUSTED',
    false,
    internal,
    'Use a smaller batch, or a device with more memory.',
  ),
  ATTEMPT_LOST: entry('UNAVAILABLE', true, internal, 'The trial runs again elsewhere.'),
  NON_FINITE: entry('INTERNAL', false, internal, 'Lower the learning rate.'),
  NO_REPORT: entry(
    'INTERNAL',
    false,
    internal,
    'Let the program print one JSON object a line with `epoch` and the objective.',
  ),
  CHECKPOINT_INVALID: entry('INTERNAL', false, internal, 'The trial starts from its first epoch.'),
  DATASET_INVALID: entry(
    'FAILED_PRECONDITION',
    false,
    environment,
    'Run `npm start` or `wattsweep doctor` to fetch it again.',
  ),
  ENGINE_MISSING: entry(
    'FAILED_PRECONDITION',
    false,
    environment,
    'Run `npm start` or `wattsweep doctor` to set it up.',
  ),
  REQUEST_INVALID: entry(
    'INVALID_ARGUMENT',
    false,
    internal,
    'The caller broke the contract in proto/wattsweep/v1; upgrade it.',
  ),
  BOX_UNFIT: entry(
    'UNAVAILABLE',
    true,
    environment,
    'Look at the disk and the log of that box; the trial runs elsewhere.',
  ),
  SLOT_NOT_FOUND: entry(
    'NOT_FOUND',
    true,
    internal,
    "The coordinator looks at the trainer's record again and takes another slot.",
  ),
  DISK_FULL: entry(
    'RESOURCE_EXHAUSTED',
    true,
    environment,
    'Free some space on that box; the trial runs elsewhere.',
  ),
  DEVICE_LOST: entry(
    'UNAVAILABLE',
    true,
    environment,
    'Look at the GPU of that box (`nvidia-smi`, `dmesg`); the trial runs elsewhere.',
  ),
  TRAINER_NOT_FOUND: entry('NOT_FOUND', false, notFound, 'List the trainers with `wattsweep trainers`.'),
  OUTPUT_GONE: entry(
    'NOT_FOUND',
    false,
    notFound,
    'Boxes remove old attempts: see --keep-attempts of `wattsweep trainer`.',
  ),
  HELD_NOT_FOUND: entry(
    'NOT_FOUND',
    false,
    notFound,
    'List what trainers hold for other ledgers with `wattsweep trainers`.',
  ),

  // This machine.
  PORT_IN_USE: entry('UNAVAILABLE', true, environment, 'Choose another port, or stop what listens there.'),
  NATS_TOO_OLD: entry('FAILED_PRECONDITION', false, environment, 'Use nats-server 2.12 or newer.'),
  NATS_UNREACHABLE: entry(
    'UNAVAILABLE',
    true,
    environment,
    'Check the address, the join token and that nats-server runs.',
  ),
  NATS_CONFIG: entry(
    'FAILED_PRECONDITION',
    false,
    environment,
    'Another stream has the name; use another NATS account or store.',
  ),
  ALREADY_RUNNING: entry(
    'ALREADY_EXISTS',
    false,
    environment,
    'Use the one that runs, or give this one another --data folder.',
  ),
  START_FAILED: entry('FAILED_PRECONDITION', true, environment, 'Read the log named, then run it again.'),

  // Set-up (setup/*.mjs), which gives its own advice in each case.
  SETUP_NODE: setup('Install Node.js 20 or newer.'),
  SETUP_PLATFORM: setup('Use Linux with glibc on x86_64 or arm64, or an Apple silicon Mac.'),
  SETUP_PYTHON: setup('Install Python 3.8 or newer, or name one in WATTSWEEP_PYTHON.'),
  SETUP_PIP: setup('Install pip for that Python.'),
  SETUP_CXX: setup('Install g++ 8 or newer, or name a C++17 compiler in CXX.'),
  SETUP_TOOL: setup('Install the tool named; only the tests need it.'),
  SETUP_NPM: setup('Check that npm is here and reaches its registry.'),
  SETUP_LOCK: setup('Undo the change to package.json or to its lock file, or bring the two together.'),
  SETUP_DOWNLOAD: setup('Check that this machine reaches its Python package index, and run it again.'),
  SETUP_CHECKSUM: setup('Check the mirror or proxy in between; nothing was kept.'),
  SETUP_UNPACK: setup('Run it again; if that does not help, remove downloads/ in the cache.'),
  SETUP_CACHE: setup('Point WATTSWEEP_HOME at a folder of yours.'),
  SETUP_DISK_FULL: setup('Free some space, or point WATTSWEEP_HOME at a larger disk.'),
  SETUP_ENGINE: setup('Read the lines below the error; on x86_64 TensorFlow needs a CPU with AVX.'),
  SETUP_GPU: setup('Update the NVIDIA driver, or set WATTSWEEP_GPU=0 to train on the CPU.'),
  SETUP_BUILD: setup('Mend the source file named.'),
  SETUP_GEN: setup('Mend the generator named.'),

  INTERNAL: entry(
    'INTERNAL',
    false,
    internal,
    'This is a fault of Wattsweep; please report it with the log.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorRegistry;

/** True when `code` stands in the registry. */
export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorRegistry, code);

/**
 * An error that a person can act on. Thrown at the edges; the core returns typed outcomes instead.
 *
 * `message` says what is wrong, with the place (file, line, column) where there is one; the advice comes from the
 * registry unless a better one is given.
 */
export class WattsweepError extends Error {
  override readonly name = 'WattsweepError';
  readonly code: ErrorCode;
  readonly advice: string;

  constructor(code: ErrorCode, message: string, options: { advice?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.advice = options.advice ?? errorRegistry[code].advice;
  }

  get entry(): ErrorEntry {
    return errorRegistry[this.code];
  }
}

/** STALE_TERM: says which term the trainer remembers. */
export class StaleTermError extends WattsweepError {
  constructor(
    message: string,
    readonly knownTerm: number,
  ) {
    super('STALE_TERM', message);
  }
}

/** NOT_LEADER: says which coordinator leads, so that a client can go there by itself. */
export class NotLeaderError extends WattsweepError {
  /** @param leaderAddress `host:port` of the leader's API; null while none is known. */
  constructor(
    message: string,
    readonly leaderAddress: string | null,
  ) {
    super('NOT_LEADER', message);
  }
}
