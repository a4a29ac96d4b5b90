/** Live telemetry from JetStream, from now on: what was missed is not shown late. */
import { TELEMETRY_STREAM } from '../../../proto/subjects.js';

/** What telemetry needs of the coordinator's NATS adapter (`../nats`). */
export interface TelemetryLink {
  bounds(stream: string): Promise<{ readonly lastSeq: number }>;
  consume(stream: string, fromSeq: number, signal: AbortSignal): AsyncIterable<{ readonly data: Uint8Array }>;
}

export interface Subscription {
  close(): Promise<void>;
}

/**
 * Calls `handler` with each message published from now on, in order.
 * @throws NATS_UNREACHABLE when the stream does not answer
 */
export async function followTelemetry(
  link: TelemetryLink,
  handler: (payload: Uint8Array) => void,
): Promise<Subscription> {
  const { lastSeq } = await link.bounds(TELEMETRY_STREAM);
  const stop = new AbortController();
  const reading = (async () => {
    for await (const { data } of link.consume(TELEMETRY_STREAM, lastSeq + 1, stop.signal)) handler(data);
  })();
  return {
    close: () => {
      stop.abort();
      return reading;
    },
  };
}
