/**
 * The fence: of each ledger the highest term that this trainer has seen, kept on disk. A coordinator that has been
 * replaced is refused, also after a restart of the trainer.
 */
import { StaleTermError, WattsweepError } from '../../../proto/errors.js';
import type { Fence } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { readJsonSync, writeJsonDurably } from '../host/files.js';

/** A ledger's name becomes the name of a folder. */
const LEDGER_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** fence.json */
interface FenceRecord {
  /** Term by ledger. */
  readonly ledgers?: Readonly<Record<string, number>>;
  /** Id of that term by ledger; none from coordinators that told none. */
  readonly termIds?: Readonly<Record<string, string>>;
}

interface Term {
  readonly term: number;
  /** Empty: not known. */
  readonly termId: string;
}

export class FenceStore {
  readonly #terms: Map<string, Term>;
  /** What is on the disk. */
  #stored: ReadonlyMap<string, Term>;
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly path: string) {
    const { ledgers = {}, termIds = {} } = (readJsonSync(path) as FenceRecord | undefined) ?? {};
    this.#terms = new Map(
      Object.entries(ledgers).map(([ledgerId, term]) => [
        ledgerId,
        { term, termId: termIds[ledgerId] ?? '' },
      ]),
    );
    this.#stored = new Map(this.#terms);
  }

  /**
   * Lets a command of this or a newer term pass; a newer one is on the disk when the promise resolves. Returns the
   * ledger's id. Throws STALE_TERM for an older term and for another one of the same number, as the histories of a restored
   * ledger may have it; REQUEST_INVALID for none, BOX_UNFIT when the disk does not take it.
   */
  async admit(fence: Fence | undefined): Promise<string> {
    if (fence === undefined || !LEDGER_ID.test(fence.ledgerId))
      throw new WattsweepError(
        'REQUEST_INVALID',
        'The command carries no fence, or a ledger id that is none.',
      );
    const { ledgerId, term, termId } = fence;
    const known = this.#terms.get(ledgerId) ?? { term: 0, termId: '' };
    const isOther = term === known.term && termId !== known.termId && termId !== '' && known.termId !== '';
    if (term < known.term || isOther)
      throw new StaleTermError(
        `The command is of ${isOther ? 'another ' : ''}term ${String(term)}; this trainer has seen term ${String(known.term)} of the ledger.`,
        known.term,
      );
    const seen = term === known.term && termId === '' ? known : { term, termId };
    this.#terms.set(ledgerId, seen);
    // One write after another; after a failed one the next command of the term tries again.
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#persist(ledgerId, seen));
    await this.#writing;
    return ledgerId;
  }

  async #persist(ledgerId: string, { term, termId }: Term): Promise<void> {
    const stored = this.#stored.get(ledgerId);
    if (stored !== undefined && (stored.term > term || (stored.term === term && stored.termId === termId)))
      return;
    const terms = new Map(this.#terms);
    const record: FenceRecord = {
      ledgers: Object.fromEntries([...terms].map(([ledger, { term: of }]) => [ledger, of])),
      termIds: Object.fromEntries(
        [...terms].flatMap(([ledger, { termId: id }]) => (id === '' ? [] : [[ledger, id]])),
      ),
    };
    try {
      await writeJsonDurably(this.path, record);
    } catch (error) {
      throw new WattsweepError('BOX_UNFIT', `The term cannot be written to the disk: ${String(error)}.`, {
        cause: error,
      });
    }
    this.#stored = terms;
  }
}
