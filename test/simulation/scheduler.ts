/**
 * Virtual time. What is due runs one by one, in the order of its time and then of its booking; after each the promises
 * that it settled run to their end. Nothing else moves a run, so the same seed gives the same run.
 */
import type { Clock } from '../../services/coordinator/clock.js';

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Scheduler {
  #now = 0;
  #order = 0;
  readonly #heap: Due[] = [];

  /** Milliseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): void {
    this.#push({ at: this.#now + Math.max(0, ms), order: (this.#order += 1), run });
  }

  /** Runs until `done` says so; false when `limitMs` of virtual time passed first. */
  async run(done: () => boolean, limitMs: number): Promise<boolean> {
    while (!done()) {
      const due = this.#pop();
      if (due === undefined || due.at > limitMs) return false;
      this.#now = due.at;
      due.run();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return true;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let i = heap.push(due) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(due, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** A process: killed, it does nothing any more; frozen, it does late what was due meanwhile. */
export class Process {
  #state: 'up' | 'frozen' | 'dead' = 'up';
  #late: (() => void)[] = [];

  constructor(readonly scheduler: Scheduler) {}

  get alive(): boolean {
    return this.#state !== 'dead';
  }

  after(ms: number, run: () => void): void {
    this.scheduler.after(ms, () => this.#deliver(run));
  }

  freeze(): void {
    if (this.alive) this.#state = 'frozen';
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'up';
    const late = this.#late;
    this.#late = [];
    for (const run of late) this.after(0, run);
  }

  kill(): void {
    this.#state = 'dead';
    this.#late = [];
  }

  #deliver(run: () => void): void {
    if (this.#state === 'up') run();
    else if (this.#state === 'frozen') this.#late.push(run);
  }

  readonly clock: Clock = {
    monotonicMs: () => this.scheduler.now,
    nextTurn: (callback) => this.after(0, callback),
    sleep: (ms, { signal } = {}) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) {
          resolve();
          return;
        }
        const wake = (): void => {
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        signal?.addEventListener('abort', wake);
        this.after(ms, wake);
      }),
  };
}
