/**
 * From a failure to words and an exit code. Codes, exits and advice come from `proto/errors.ts`; nothing here invents one.
 */
import { CommanderError } from 'commander';
import { type ErrorCode, ExitCode, WattsweepError, errorRegistry, isErrorCode } from '../proto/errors.js';
import { note, noteColors } from './output.js';

/** Ends the command with an exit code after it has said everything itself. */
export class Exit extends Error {
  override readonly name = 'Exit';
  constructor(readonly exitCode: number) {
    super(`exit ${exitCode}`);
  }
}

/** Set-up is plain JavaScript that runs before anything is compiled, so its errors are no {@link WattsweepError}. */
interface SetupFailure extends Error {
  readonly code: ErrorCode;
  readonly advice: string;
  readonly detail?: string;
}

const isSetupFailure = (error: unknown): error is SetupFailure =>
  error instanceof Error && error.name === 'SetupError' && 'advice' in error && 'code' in error;

/** Every failure as one that a person can act on. */
export function toWattsweepError(error: unknown): WattsweepError {
  if (error instanceof WattsweepError) return error;
  if (error instanceof CommanderError) {
    return new WattsweepError('USAGE', error.message.replace(/^error: /, ''), { cause: error });
  }
  if (isSetupFailure(error)) {
    const detail = error.detail ? `\n${error.detail.replace(/^/gm, '  | ')}` : '';
    return new WattsweepError(error.code, error.message + detail, { advice: error.advice, cause: error });
  }
  return new WattsweepError('INTERNAL', error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

/** A command that was typed wrongly: its own help tells more than the whole. */
export function withHelpOf(command: string, error: unknown): unknown {
  if (!(error instanceof CommanderError) || error.exitCode === 0) return error;
  const { code, message } = toWattsweepError(error);
  return new WattsweepError(code, message, { advice: `See \`wattsweep ${command} --help\`.`, cause: error });
}

/** Says what went wrong on stderr, as JSON for a program that asked for JSON, and answers the exit code. */
export function reportFailure(failure: unknown, json: boolean): number {
  if (failure instanceof Exit) return failure.exitCode;
  if (failure instanceof CommanderError && failure.exitCode === 0) return ExitCode.ok;
  const error = toWattsweepError(failure);
  if (json) {
    const { code, message, advice } = error;
    // A sweep file has its faults one by one, with line and column.
    const issues = 'issues' in error ? { issues: error.issues } : {};
    note(JSON.stringify({ error: { code, message, advice, ...issues } }));
  } else {
    note(`${noteColors.red(noteColors.bold(`error[${error.code}]:`))} ${error.message}`);
    note(`  ${error.advice}`);
    const cause = error.cause;
    if (error.code === 'INTERNAL' && cause instanceof Error && cause.stack) note(noteColors.dim(cause.stack));
  }
  return error.entry.exit;
}

/** What a child process of ours said before it gave up, back as the error that it was. */
export function revive(failure: { code: string; message: string; advice: string }): WattsweepError {
  const code = isErrorCode(failure.code) ? failure.code : 'INTERNAL';
  return new WattsweepError(code, failure.message, { advice: failure.advice || errorRegistry[code].advice });
}
