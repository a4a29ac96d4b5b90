/**
 * Messages of a stream in order, from one consumer on the server and as long as that one lives. The client's own ordered
 * consumers are not used: the server that holds such a consumer in its memory may die while the stream and this
 * connection live on, and then the client asks for ever after a consumer that nobody can answer for. Here a consumption
 * ends as soon as that may have happened, and its reader begins the next one where it stands.
 */
import {
  AckPolicy,
  ConsumerEvents,
  DeliverPolicy,
  nanos,
  nuid,
  type ConsumerMessages,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from 'nats';
import { isAborted } from '../clock.js';

export interface ConsumptionOptions {
  readonly stream: string;
  /** Sequence of the first message wanted, from 1 on. */
  readonly fromSeq: number;
  /** @default every subject of the stream */
  readonly subject?: string;
  /** Asked for at a time, instead of 500 messages. */
  readonly pullBytes?: number;
}

/** What a consumption needs of the connection. */
interface Connection {
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  answered<T>(request: Promise<T>): Promise<T>;
  onReconnect(listener: () => void): () => void;
}

const PULL_MESSAGES = 500;
/** The server gives a sign of life twice in that time; a consumer that missed two of them is given up. */
const PULL_EXPIRES_MS = 4_000;
/** A consumer that its reader could not remove is removed by the server. */
const FORGOTTEN_AFTER_MS = 60_000;

const LOST: ReadonlySet<string> = new Set([
  ConsumerEvents.HeartbeatsMissed,
  ConsumerEvents.ConsumerDeleted,
  ConsumerEvents.ConsumerNotFound,
  ConsumerEvents.StreamNotFound,
  ConsumerEvents.NoResponders,
]);

/**
 * Yields until `signal` aborts, the connection was replaced, the consumer is lost, or a message got lost on its way.
 * @throws what the client threw when the consumer could not be made
 */
export async function* consumption(
  connection: Connection,
  options: ConsumptionOptions,
  signal: AbortSignal,
): AsyncGenerator<JsMsg> {
  const { jetstream, manager } = connection;
  const { stream, fromSeq, subject, pullBytes } = options;
  const name = nuid.next();
  let messages: ConsumerMessages | null = null;
  const stop = (): void => void messages?.close().catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  // A consumer that lived in the memory of a server that started anew is gone: the next one can begin at once.
  const offReconnect = connection.onReconnect(stop);
  try {
    const made = manager.consumers.add(stream, {
      name,
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, fromSeq),
      ...(subject === undefined ? {} : { filter_subject: subject }),
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
    });
    await connection.answered(made);
    const consumer = await connection.answered(jetstream.consumers.get(stream, name));
    const pull = pullBytes === undefined ? { max_messages: PULL_MESSAGES } : { max_bytes: pullBytes };
    messages = await consumer.consume({ ...pull, expires: PULL_EXPIRES_MS });
    void stopWhenLost(messages, stop);
    // The signal may have come while the consumer was being made.
    if (isAborted(signal)) stop();
    yield* inOrder(messages);
  } finally {
    signal.removeEventListener('abort', stop);
    offReconnect();
    void manager.consumers.delete(stream, name).catch(() => undefined);
  }
}

async function stopWhenLost(messages: ConsumerMessages, stop: () => void): Promise<void> {
  for await (const { type } of await messages.status()) if (LOST.has(type)) stop();
}

async function* inOrder(messages: ConsumerMessages): AsyncGenerator<JsMsg> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (let delivered = 1; ; delivered += 1) {
      const result = await iterator.next();
      if (result.done === true) return;
      // Nothing is acknowledged, so nothing is delivered again: after a gap another consumer has to begin there.
      if (result.value.info.deliverySequence !== delivered) return;
      yield result.value;
    }
  } finally {
    void release(messages, iterator);
  }
}

/** The client ends a consumption only when its iterator has been read to the end. */
async function release(messages: ConsumerMessages, iterator: AsyncIterator<JsMsg>): Promise<void> {
  messages.close().catch(() => undefined);
  while ((await iterator.next().catch(() => ({ done: true }))).done !== true);
}
