/**
 * What set-up says when it cannot go on: a code of the registry (proto/errors.ts), what happened, and one thing to do
 * about it. Set-up runs before anything is installed or compiled, so it knows the registry by its types only.
 */

/** @typedef {import('../../proto/errors.js').ErrorCode} ErrorCode */

/** Thrown for every failure that set-up foresees. Anything else is a bug and keeps its stack. */
export class SetupError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message what happened, one sentence
   * @param {string} advice what to do, one sentence
   * @param {{cause?: unknown, detail?: string}} [more] `detail` is a failed tool's own last words
   */
  constructor(code, message, advice, { cause, detail } = {}) {
    super(message, { cause });
    this.name = 'SetupError';
    this.code = code;
    this.advice = advice;
    this.detail = detail;
  }

  /** As a person should read it. */
  get report() {
    const detail = this.detail ? '\n' + this.detail.replace(/^/gm, '  | ') : '';
    return `${this.code}: ${this.message} ${this.advice}${detail}`;
  }
}

const NO_SPACE = /ENOSPC|EDQUOT|no space left on device|disk quota exceeded/i;

/** @param {unknown} error */
export const isDiskFull = (error) =>
  NO_SPACE.test(
    error instanceof Error ? `${/** @type {any} */ (error).code ?? ''} ${error.message}` : String(error),
  );

/**
 * @param {string} folder
 * @param {{cause?: unknown, detail?: string}} [more]
 */
export const diskFull = (folder, more) =>
  new SetupError(
    'SETUP_DISK_FULL',
    `There is no space left under ${folder}.`,
    'Free some, or point WATTSWEEP_HOME at a larger disk; what was fetched and verified so far is kept.',
    more,
  );

/**
 * The registry's exit codes: 2 for a wrong call, 4 when this machine lacks something, 1 for a fault of ours.
 * @param {unknown} error
 */
function exitCodeOf(error) {
  if (!(error instanceof SetupError)) return 1;
  return error.code === 'USAGE' ? 2 : 4;
}

/**
 * Runs a main function and turns its failure into words and an exit code.
 * @param {() => Promise<number | void>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    process.stderr.write(
      (error instanceof SetupError ? error.report : (/** @type {any} */ (error)?.stack ?? error)) + '\n',
    );
    process.exitCode = exitCodeOf(error);
  }
}
