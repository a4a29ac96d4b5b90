/** Live telemetry from JetStream: an ordered, ephemeral consumer, from now on; what was missed is not shown late. */
import { DeliverPolicy, type NatsConnection } from 'nats';
import { TELEMETRY_STREAM } from '../../../proto/subjects.js';

export interface TelemetrySubscription {
  close(): Promise<void>;
}

export interface TelemetrySource {
  /**
   * Calls `handler` with each message published from now on, in order. `failed` is called when the subscription ends by
   * itself. Rejects when the stream does not exist.
   */
  subscribe(
    handler: (payload: Uint8Array) => void,
    failed: (error: unknown) => void,
  ): Promise<TelemetrySubscription>;
}

export function natsTelemetrySource(connection: NatsConnection): TelemetrySource {
  return {
    async subscribe(handler, failed) {
      const consumers = connection.jetstream().consumers;
      const consumer = await consumers.get(TELEMETRY_STREAM, { deliver_policy: DeliverPolicy.New });
      const messages = await consumer.consume();
      const reading = (async () => {
        for await (const message of messages) handler(message.data);
      })().catch(failed);
      return {
        close: async () => {
          await messages.close();
          await reading;
        },
      };
    },
  };
}
