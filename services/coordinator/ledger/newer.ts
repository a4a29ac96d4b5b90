/**
 * A ledger that a newer program has written to is none for this one: told at the start, before anything is changed on
 * the server, and not when this coordinator is needed as the next leader.
 */
import { LEDGER_STREAM } from '../../../proto/subjects.js';
import { WattsweepError } from '../../../proto/errors.js';
import type { NatsLink } from '../nats/index.js';
import { decodeBatch } from './codec.js';

/** Looks at the last entry; every entry says its version. @throws LEDGER_VERSION; NATS_UNREACHABLE */
export async function refuseNewerLedger(link: Pick<NatsLink, 'lastMessage'>): Promise<void> {
  const last = await link.lastMessage(LEDGER_STREAM);
  if (last === null) return;
  try {
    decodeBatch(last.data, last.seq);
  } catch (error) {
    // An entry that cannot be read at all is the business of whoever leads.
    if (error instanceof WattsweepError && error.code === 'LEDGER_VERSION') throw error;
  }
}
