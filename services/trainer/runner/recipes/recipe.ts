/** What a recipe is to the runner process: something that trains one attempt and says how it ended. */
import type { AttemptEndClass, AttemptSpec, RunnerLine, StopMode } from '../../protocol/runner.js';

export interface AttemptEnd {
  readonly class: AttemptEndClass;
  /** A code of `proto/errors.ts`, or empty. */
  readonly code: string;
  readonly message: string;
}

/** `eof`: the supervisor is gone. */
export type StopRequest = StopMode | 'eof';

export interface AttemptContext {
  /** Sends facts to the supervisor. Never throws: a supervisor that is gone is seen as an `eof` request. */
  report(...lines: readonly Exclude<RunnerLine, { type: 'end' }>[]): void;
  /** The request to stop that has arrived, or null. */
  stopRequested(): StopRequest | null;
  /** Resolves when a stop is requested. */
  readonly stopped: Promise<StopRequest>;
  /** Lets the event loop run, so that commands are read. */
  breathe(): Promise<void>;
  /** For every process that the recipe starts for this attempt. */
  readonly environment: Readonly<Record<string, string>>;
  /** Something of this attempt could not be put away: no other one may run in this process. Says why in the log. */
  spoil(reason: string): void;
}

export type RunRecipe = (attempt: AttemptSpec, context: AttemptContext) => Promise<AttemptEnd>;

export const completed: AttemptEnd = { class: 'completed', code: '', message: '' };
