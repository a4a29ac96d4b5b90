/** Processes that carry a mark in their environment: what they start carries it, too, and all are found and killed by it. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const NAME = 'WATTSWEEP_BENCH_MARK';

export class Marked {
  readonly #mark = randomUUID();

  get environment(): Readonly<Record<string, string>> {
    return { [NAME]: this.#mark };
  }

  /** Every process that carries the mark, whoever its parent is by now. */
  pids(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
        return environment.includes(`${NAME}=${this.#mark}`) ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
  }

  /** Kills until nobody carries it any more, or for some seconds. */
  async killAll(): Promise<void> {
    for (let round = 0; round < 60; round++) {
      const left = this.pids();
      if (left.length === 0) return;
      for (const pid of left) kill(pid);
      await sleep(50);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
