/**
 * Waiting, as an argument: a process waits on the machine's timers, a simulation on its own. What time it is in the
 * world (`now`) is another matter: that clock may jump.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface SleepOptions {
  /** Ends the wait early. */
  readonly signal?: AbortSignal;
  /** Whether the wait keeps the process alive. @default true */
  readonly ref?: boolean;
}

export interface Clock {
  /** Milliseconds that only rise; their origin means nothing. */
  monotonicMs(): number;
  /** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
  sleep(ms: number, options?: SleepOptions): Promise<void>;
  /** Calls back when everything that is due in this turn of the event loop has run. */
  nextTurn(callback: () => void): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  sleep: (ms, options = {}) => delay(ms, undefined, options).catch(() => undefined),
  nextTurn: (callback) => void setImmediate(callback),
};

/** Behind a function: the compiler would take the flag for unchanged since it was last looked at. */
export const isAborted = (signal: AbortSignal): boolean => signal.aborted;
