/**
 * A ledger restored from a backup, as the runbook says: the coordinators are stopped, an older copy takes the place of
 * what is there, and they start again. The stream of reports may come from the same copy or from another one, or be gone.
 */
import { LEDGER_STREAM, REPORTS_STREAM } from '../../proto/subjects.js';
import type { SimNats } from './nats.js';
import { randomOf } from './random.js';

/** What becomes of REPORTS: it stays, is of the same moment, of an earlier or a later one, is made anew, or emptied. */
const REPORTS = ['stays', 'stays', 'stays', 'same', 'same', 'earlier', 'later', 'anew', 'emptied'] as const;

/** Few entries: what a copy made a moment ago lacks. */
const FEW = 4;

/**
 * Puts an older copy into the place of both streams. What is taken follows from `number` alone.
 * @returns the last entry of the ledger that is left, and whether REPORTS is as it was
 */
export function restore(
  nats: SimNats,
  number: number,
): { readonly seq: number; readonly keepsReports: boolean } {
  const random = randomOf(number, 'restore');
  const ledger = nats.stream(LEDGER_STREAM);
  const reports = nats.stream(REPORTS_STREAM);
  const { now } = nats.scheduler;
  const seq = random.pick([
    Math.floor(ledger.lastSeq * random.next()),
    Math.floor(ledger.lastSeq * random.next()),
    Math.max(0, ledger.lastSeq - random.whole(0, FEW)),
    random.chance(0.3) ? 0 : Math.floor(ledger.lastSeq * random.next()),
  ]);
  const madeAt = ledger.messages.get(seq)?.storedAtMs ?? 0;
  /** Messages of REPORTS that were there at that moment. */
  const upTo = (ms: number): number =>
    [...reports.messages.values()].findLast(({ storedAtMs }) => storedAtMs <= ms)?.seq ??
    reports.firstSeq - 1;
  const fate = random.pick(REPORTS);
  nats.truncate(LEDGER_STREAM, seq);
  switch (fate) {
    case 'stays':
      break;
    case 'same':
      nats.truncate(REPORTS_STREAM, upTo(madeAt));
      break;
    case 'earlier':
      nats.truncate(REPORTS_STREAM, upTo(random.between(0, madeAt)));
      break;
    case 'later':
      nats.truncate(REPORTS_STREAM, upTo(random.between(madeAt, now)));
      break;
    case 'anew':
      nats.makeAnew(REPORTS_STREAM);
      break;
    case 'emptied':
      nats.empty(REPORTS_STREAM);
      break;
  }
  return { seq, keepsReports: fate === 'stays' || fate === 'emptied' };
}
