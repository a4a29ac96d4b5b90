/** What names a term, and that the ledger at hand is the one that this coordinator leads. */
import { createHash } from 'node:crypto';
import { WattsweepError } from '../../../proto/errors.js';
import type { LedgerEvent, State } from '../core/index.js';
import type { FoldedLog } from './log.js';

/** Short, since every report says it, and drawn from so many that no two histories of a ledger share one. */
const TERM_ID_LENGTH = 12;

/** @param random fresh random text */
export const termIdOf = (random: string): string =>
  createHash('sha256').update(random).digest('hex').slice(0, TERM_ID_LENGTH);

/** The term in which the ledger is after these, which may raise it. */
export const termAfter = (term: number, { events }: { readonly events: readonly LedgerEvent[] }): number =>
  events.reduce((now, event) => (event.type === 'term_started' ? event.term : now), term);

/** A stream that was removed, or changed for another one, must not be taken for an empty beginning. */
export function assertSameLedger(expected: string, found: string): void {
  if (found === expected) return;
  const what = found === '' ? 'is empty now' : `holds the ledger ${found} now`;
  throw new WattsweepError(
    'LEDGER_UNREADABLE',
    `the stream LEDGER ${what}, and this coordinator has led the ledger ${expected}`,
    { advice: 'Restore the NATS store; or start the coordinator again to go on with what is there.' },
  );
}

/** Where a writer believes the ledger to be, or where it is. */
interface Place extends FoldedLog {
  readonly state: Pick<State, 'ledgerId' | 'termId'>;
  readonly term: number;
}

/** @throws LEDGER_UNREADABLE; DEPOSED when another term has begun, or what this one has written is gone */
export function assertSameTerm(expected: Place, found: Place): void {
  assertSameLedger(expected.state.ledgerId, found.state.ledgerId);
  if (found.term !== expected.term || found.state.termId !== expected.state.termId)
    throw deposed('another coordinator', found.term);
  // What was acknowledged may be missing. Going on, this term would give the same names once more.
  const isOther = found.lastSeq === expected.lastSeq && found.appendId !== expected.appendId;
  if (found.madeAt !== expected.madeAt || found.lastSeq < expected.lastSeq || isOther)
    throw new WattsweepError('DEPOSED', 'the stream LEDGER holds a copy of this ledger now');
}

export const stoppedLeading = (): WattsweepError =>
  new WattsweepError('DEPOSED', 'this coordinator no longer leads');

export const deposed = (coordinatorId: string, term: number): WattsweepError =>
  new WattsweepError('DEPOSED', `${coordinatorId} began term ${term}`);
