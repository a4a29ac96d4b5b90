/**
 * A ledger that was lost: LEDGER is empty or not there, and other streams say that NATS has had one. Beginning with an
 * empty one forgets every sweep, so nobody does that unless a person says so.
 */
import {
  CHECKPOINTS_BUCKET,
  LEDGER_STREAM,
  REPORTS_STREAM,
  SNAPSHOTS_BUCKET,
} from '../../../proto/subjects.js';
import { WattsweepError } from '../../../proto/errors.js';
import { systemClock, type Clock } from '../clock.js';
import type { NatsLink } from '../nats/index.js';

/** What is written only once a ledger has begun, and what it is for people. Telemetry comes from boxes that wait, too. */
const TRACES = [
  [REPORTS_STREAM, 'REPORTS has had reports'],
  [`OBJ_${SNAPSHOTS_BUCKET}`, 'there are snapshots of one'],
  [`OBJ_${CHECKPOINTS_BUCKET}`, 'there are checkpoints of trials'],
] as const;

type Finder = Pick<NatsLink, 'find'>;

/** In words; empty where nothing does. @throws NATS_UNREACHABLE */
async function tracesOf(link: Finder): Promise<readonly string[]> {
  const found = await Promise.all(
    TRACES.map(async ([stream, what]) => ((await link.find(stream))?.lastSeq ?? 0) > 0 && what),
  );
  return found.filter((what) => what !== false);
}

export class LedgerBeginning {
  readonly #since: number;

  private constructor(
    private readonly link: Finder,
    private readonly mayBegin: boolean,
    private readonly freshForMs: number,
    private readonly clock: Clock,
    private readonly isFresh: boolean,
    /** LEDGER has entries. */
    readonly isThere: boolean,
  ) {
    this.#since = clock.monotonicMs();
  }

  /**
   * Before anything is made on the server.
   * @param mayBegin a person says that an empty ledger may take the place of a lost one
   * @param freshForMs a NATS that has had no ledger is taken for that as long: what boxes have kept of an earlier NATS
   * comes to a new one within moments
   * @throws LEDGER_LOST; NATS_UNREACHABLE
   */
  static async look(
    link: Finder,
    mayBegin: boolean,
    freshForMs: number,
    clock: Clock = systemClock,
  ): Promise<LedgerBeginning> {
    const ledger = await link.find(LEDGER_STREAM);
    const isThere = ledger !== null && ledger.lastSeq > 0;
    const traces = isThere ? [] : await tracesOf(link);
    if (traces.length > 0 && !mayBegin)
      throw lost(ledger === null ? 'there is no stream LEDGER' : IS_EMPTY, traces);
    const isFresh = !isThere && traces.length === 0;
    return new LedgerBeginning(link, mayBegin, freshForMs, clock, isFresh, isThere);
  }

  /**
   * Who would lead has found LEDGER empty, perhaps long after the start.
   * @returns what shows that there was a ledger, where a person says that this does not matter; null for nothing
   * @throws LEDGER_LOST; NATS_UNREACHABLE
   */
  async begin(): Promise<string | null> {
    if (this.isFresh && this.clock.monotonicMs() - this.#since < this.freshForMs) return null;
    const traces = await tracesOf(this.link);
    if (traces.length > 0 && !this.mayBegin) throw lost(IS_EMPTY, traces);
    return traces.length === 0 ? null : traces.join(', ');
  }
}

const IS_EMPTY = 'the stream LEDGER is empty';

const lost = (what: string, traces: readonly string[]): WattsweepError =>
  new WattsweepError(
    'LEDGER_LOST',
    `${what}, and NATS has had a ledger: ${traces.join(', ')}; with an empty one every sweep would be forgotten`,
  );
