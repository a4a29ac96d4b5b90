/**
 * Keeps the slot's runner warm: one that has ended its attempt in order waits here for the slot's next attempt, for a
 * bounded time. Another recipe, program, environment or device gets a new one, when the old one is gone.
 */
import type { AcceptedAttempt } from '../attempts/record.js';
import { RunnerProcess } from './runner-process.js';

interface Waiting {
  readonly runner: RunnerProcess;
  readonly fit: string;
  readonly timer: NodeJS.Timeout;
}

/** What two attempts must have in common to share a runner. */
function fitOf(accepted: AcceptedAttempt): string {
  const { runnerCommand, environment, spec } = accepted;
  const known = fits.get(accepted);
  if (known !== undefined) return known;
  const fit = JSON.stringify([spec.recipe, runnerCommand, environment, spec.device]);
  fits.set(accepted, fit);
  return fit;
}

const fits = new WeakMap<AcceptedAttempt, string>();

export class RunnerKeeper {
  #waiting: Waiting | null = null;

  /** @param folder Working folder of the runners. */
  constructor(private readonly folder: string) {}

  /** A runner for the attempt; `isWarm` when it has served others before. */
  async take(
    accepted: AcceptedAttempt,
  ): Promise<{ readonly runner: RunnerProcess; readonly isWarm: boolean }> {
    const waiting = this.#takeWaiting();
    if (waiting !== null) {
      const { runner, fit } = waiting;
      if (runner.lives && accepted.warmIdleMs > 0 && fit === fitOf(accepted)) return { runner, isWarm: true };
      // Its memory on the device must be free before another one begins.
      await runner.leave();
    }
    const runner = new RunnerProcess(accepted, this.folder);
    void runner.exited.then(() => {
      if (this.#waiting?.runner === runner) this.#takeWaiting();
    });
    return { runner, isWarm: false };
  }

  /** Takes back a runner that waits for another attempt like this one. */
  keep(runner: RunnerProcess, accepted: AcceptedAttempt): void {
    if (!runner.lives) return;
    const timer = setTimeout(() => void this.close(), accepted.warmIdleMs);
    this.#waiting = { runner, fit: fitOf(accepted), timer };
  }

  #takeWaiting(): Waiting | null {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) clearTimeout(waiting.timer);
    return waiting;
  }

  /** Lets the waiting runner go; resolves when it is gone. */
  async close(): Promise<void> {
    await this.#takeWaiting()?.runner.leave();
  }
}
