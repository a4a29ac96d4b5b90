/**
 * The fence: of each ledger the highest term that this trainer has seen, kept on disk. A coordinator that has been
 * replaced is refused, also after a restart of the trainer.
 */
import { StaleTermError, WattsweepError } from '../../../proto/errors.js';
import type { Fence } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { readJsonSync, writeJsonDurably } from '../host/files.js';

/** A ledger's name becomes the name of a folder. */
const LEDGER_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export class FenceStore {
  readonly #terms: Map<string, number>;
  /** What is on the disk. */
  #stored: ReadonlyMap<string, number>;
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly path: string) {
    const stored = readJsonSync(path) as { readonly ledgers?: Readonly<Record<string, number>> } | undefined;
    this.#terms = new Map(Object.entries(stored?.ledgers ?? {}));
    this.#stored = new Map(this.#terms);
  }

  /**
   * Lets a command of this or a newer term pass; a newer one is on the disk when the promise resolves. Returns the
   * ledger's id. Throws STALE_TERM for an older term, REQUEST_INVALID for none, BOX_UNFIT when the disk does not take it.
   */
  async admit(fence: Fence | undefined): Promise<string> {
    if (fence === undefined || !LEDGER_ID.test(fence.ledgerId))
      throw new WattsweepError(
        'REQUEST_INVALID',
        'The command carries no fence, or a ledger id that is none.',
      );
    const { ledgerId, term } = fence;
    const known = this.#terms.get(ledgerId) ?? 0;
    if (term < known)
      throw new StaleTermError(
        `The command is of term ${String(term)}; this trainer has seen term ${String(known)} of the ledger.`,
        known,
      );
    this.#terms.set(ledgerId, term);
    // One write after another; after a failed one the next command of the term tries again.
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#persist(ledgerId, term));
    await this.#writing;
    return ledgerId;
  }

  async #persist(ledgerId: string, term: number): Promise<void> {
    if ((this.#stored.get(ledgerId) ?? 0) >= term) return;
    const terms = new Map(this.#terms);
    try {
      await writeJsonDurably(this.path, { ledgers: Object.fromEntries(terms) });
    } catch (error) {
      throw new WattsweepError('BOX_UNFIT', `The term cannot be written to the disk: ${String(error)}.`, {
        cause: error,
      });
    }
    this.#stored = terms;
  }
}
