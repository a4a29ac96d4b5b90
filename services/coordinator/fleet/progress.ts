/** How far the stream REPORTS has been decided, for whoever must know that what stands there now has been heard. */

interface Waiting {
  readonly seq: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class ReportsProgress {
  #seq = -1;
  #waiting: Waiting[] = [];

  /** Everything up to `seq` has been decided. */
  reach(seq: number): void {
    this.#seq = seq;
    this.#settle(({ seq: wanted, resolve }) => {
      if (wanted > seq) return false;
      resolve();
      return true;
    });
  }

  /** The stream is another one from now on: who waits for a place on the old one must look again. */
  beginAnew(): void {
    this.#seq = -1;
    this.#settle(({ reject }) => {
      reject(new Error('the stream of reports was made anew'));
      return true;
    });
  }

  /** Resolves when everything up to `seq` has been decided; rejects when the stream turns out to be another one. */
  until(seq: number): Promise<void> {
    if (seq <= this.#seq) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ seq, resolve, reject }));
  }

  /** @param isSettled settles one, or says that it waits on */
  #settle(isSettled: (one: Waiting) => boolean): void {
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((one) => !isSettled(one));
  }
}
