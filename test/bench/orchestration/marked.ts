/**
 * Processes that carry a mark in their environment: what they start carries it, too, and all are found and killed by it,
 * also when this program is asked to end.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const NAME = 'WATTSWEEP_BENCH_MARK';

const open = new Set<Marked>();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    void Promise.all([...open].map((marked) => marked.killAll())).then(() => process.exit(1));
  });
}

export class Marked {
  readonly #mark = randomUUID();

  constructor() {
    open.add(this);
  }

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
      if (left.length === 0) break;
      for (const pid of left) kill(pid);
      await sleep(50);
    }
    open.delete(this);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
