/** Reads the ledger that an ended `up` left on disk: the last word on what happened, and how often. */
import { connect } from 'nats';
import { LEDGER_STREAM } from '../../proto/subjects.js';
import type { LedgerEvent, LedgerEventType } from '../../services/coordinator/core/events.js';
import { decodeBatch } from '../../services/coordinator/ledger/codec.js';
import { startNats } from '../support/nats.js';

export class Ledger {
  constructor(readonly events: readonly LedgerEvent[]) {}

  of<T extends LedgerEventType>(type: T): Extract<LedgerEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<LedgerEvent, { type: T }> => event.type === type);
  }

  /** Events of a type, counted by what `key` says of each. */
  count<T extends LedgerEventType>(
    type: T,
    key: (event: Extract<LedgerEvent, { type: T }>) => string,
  ): Map<string, number> {
    const counts = new Map<string, number>();
    for (const event of this.of(type)) counts.set(key(event), (counts.get(key(event)) ?? 0) + 1);
    return counts;
  }
}

/** @param storeDir `jetstream` in the data folder; no server may use it. */
export async function readLedger(storeDir: string): Promise<Ledger> {
  const server = await startNats({ dataDir: storeDir });
  const connection = await connect({ servers: server.url });
  try {
    const manager = await connection.jetstreamManager();
    const { state } = await manager.streams.info(LEDGER_STREAM);
    const consumer = await connection.jetstream().consumers.get(LEDGER_STREAM, {});
    const events: LedgerEvent[] = [];
    let left = state.messages;
    while (left > 0) {
      const batch = await consumer.fetch({ max_messages: Math.min(left, 500), expires: 5000 });
      for await (const message of batch) {
        events.push(...decodeBatch(message.data, message.seq).events);
        left -= 1;
      }
    }
    return new Ledger(events);
  } finally {
    await connection.close();
    await server.stop();
  }
}
