import type { Logger } from 'pino';
import type { Clock } from '../clock.js';

const COMPLAIN_EVERY_MS = 5_000;

/** Says once in a while that something does not answer and is asked again. */
export function complainOf(what: string, log: Logger, clock: Clock): (error: unknown) => void {
  let saidAt = -Infinity;
  return (error) => {
    if (clock.monotonicMs() - saidAt < COMPLAIN_EVERY_MS) return;
    saidAt = clock.monotonicMs();
    const why = error instanceof Error ? error.message : String(error);
    log.warn(`${what} does not answer: ${why}; trying again`);
  };
}
