/**
 * The coordinator's one connection to NATS, and the only folder that imports the client library: what leaves it are our
 * own types and `WattsweepError`s, so that a change of client touches nothing else. Only what the @nats-io packages
 * keep is used: `consumers.get().consume()`, no `subscribe` on JetStream, no codecs, no `NatsError` outside.
 *
 * Streams and buckets and their settings: `streams.ts`. Keys with a TTL: `bucket.ts`. Reading on: `consumption.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, Events, type JetStreamClient, type JetStreamManager, type NatsConnection } from 'nats';
import { WattsweepError } from '../../../proto/errors.js';
import { consumption } from './consumption.js';
import { assertServerVersion } from './version.js';
import { natsErrorCode, unreachable } from './failure.js';

export interface NatsLinkOptions {
  /** `nats://host:port`, several with commas. */
  readonly url: string;
  readonly token: string | null;
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** @default 2000 */
  readonly connectTimeoutMs?: number;
}

/** What became of a publish that the server answered. */
export type PublishOutcome =
  | { readonly ok: true; readonly seq: number }
  /** The stream's last sequence is not the expected one: nothing was written. */
  | { readonly ok: false };

export interface PublishOptions {
  readonly messageId: string;
  /** Written only if the STREAM's last sequence is this one. A subject's sequence would be no fence. */
  readonly expectedLastSeq?: number;
  /** @default 5000 */
  readonly timeoutMs?: number;
}

export interface StreamMessage {
  readonly seq: number;
  /** By the server's clock, milliseconds since 1970. */
  readonly storedAtMs: number;
  readonly subject: string;
  readonly data: Uint8Array;
}

export interface StreamBounds {
  /** Sequence of the first message still there; `lastSeq + 1` when empty. */
  readonly firstSeq: number;
  /** Sequence of the last message ever written; 0 for none. */
  readonly lastSeq: number;
  /** Bytes of all messages. */
  readonly bytes: number;
}

export interface FoundStream extends StreamBounds {
  /** When the server made the stream, as it says it: differs from that of a stream of the same name before it. */
  readonly madeAt: string;
}

const RECONNECT_WAIT_MS = 250;
const RETRY_WAIT_MS = 250;
const DRAIN_WITHIN_MS = 2_000;

export class NatsLink {
  #connected = true;
  readonly #reconnectListeners = new Set<() => void>();

  private constructor(
    readonly connection: NatsConnection,
    readonly jetstream: JetStreamClient,
    readonly manager: JetStreamManager,
    readonly serverVersion: string,
  ) {}

  /**
   * Connects once. Afterwards the link reconnects for ever by itself.
   * @throws NATS_UNREACHABLE; UNAUTHENTICATED for a wrong token; NATS_TOO_OLD
   */
  static async connect(options: NatsLinkOptions): Promise<NatsLink> {
    const connection = await connect({
      servers: options.url.split(','),
      ...(options.token === null ? {} : { token: options.token }),
      name: options.name,
      timeout: options.connectTimeoutMs ?? 2_000,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      ignoreAuthErrorAbort: true,
      pingInterval: 5_000,
      maxPingOut: 2,
    }).catch((error: unknown) => {
      throw unreachable(`NATS at ${options.url} does not answer`, error);
    });
    try {
      const version = connection.info?.version ?? '0.0.0';
      assertServerVersion(version);
      const manager = await connection.jetstreamManager().catch((error: unknown) => {
        throw unreachable(
          `JetStream of the NATS server at ${options.url} does not answer; is it enabled?`,
          error,
        );
      });
      const link = new NatsLink(connection, connection.jetstream(), manager, version);
      void link.#followStatus();
      return link;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Whether the connection stands right now. */
  get connected(): boolean {
    return this.#connected && !this.connection.isClosed();
  }

  /** Largest message that the server takes, bytes. */
  get maxPayloadBytes(): number {
    return this.connection.info?.max_payload ?? 1_048_576;
  }

  /** Calls back after each reconnection; returns the function that ends it. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  /** The answer to a request, or a failure as soon as the connection that it was to come by has been replaced. */
  async answered<T>(request: Promise<T>): Promise<T> {
    let stopWaiting: () => void = () => undefined;
    const broken = new Promise<never>((_, reject) => {
      stopWaiting = this.onReconnect(() => reject(new Error('the connection broke')));
    });
    try {
      return await Promise.race([request, broken]);
    } finally {
      stopWaiting();
    }
  }

  /**
   * Publishes to a stream and waits for the server's word.
   * @throws NATS_UNREACHABLE when it is not known whether the message was written
   */
  async publish(subject: string, data: Uint8Array, options: PublishOptions): Promise<PublishOutcome> {
    try {
      const sent = this.jetstream.publish(subject, data, {
        msgID: options.messageId,
        timeout: options.timeoutMs ?? 5_000,
        ...(options.expectedLastSeq === undefined
          ? {}
          : { expect: { lastSequence: options.expectedLastSeq } }),
      });
      const ack = await this.answered(sent);
      return { ok: true, seq: ack.seq };
    } catch (error) {
      if (natsErrorCode(error) === 'wrong_sequence') return { ok: false };
      throw unreachable('NATS did not acknowledge a message', error);
    }
  }

  /** @throws NATS_UNREACHABLE, also when there is no such stream */
  async bounds(stream: string): Promise<StreamBounds> {
    const found = await this.find(stream);
    if (found !== null) return found;
    throw new WattsweepError('NATS_UNREACHABLE', `there is no stream ${stream}`, {
      advice: 'Restore it; or start the coordinator again to begin with an empty one.',
    });
  }

  /** Null when there is no such stream. @throws NATS_UNREACHABLE */
  async find(stream: string): Promise<FoundStream | null> {
    try {
      const { state, created } = await this.answered(this.manager.streams.info(stream));
      return {
        firstSeq: Math.max(1, state.first_seq),
        lastSeq: state.last_seq,
        bytes: state.bytes,
        madeAt: created,
      };
    } catch (error) {
      if (natsErrorCode(error) === 'not_found') return null;
      throw unreachable(`the stream ${stream} does not answer`, error);
    }
  }

  /** Null when the stream is empty, or is not there. @throws NATS_UNREACHABLE */
  async lastMessage(stream: string): Promise<StreamMessage | null> {
    try {
      const { state } = await this.answered(this.manager.streams.info(stream));
      if (state.messages === 0) return null;
      return await this.messageAt(stream, state.last_seq);
    } catch (error) {
      if (natsErrorCode(error) === 'not_found') return null;
      throw unreachable(`the stream ${stream} does not answer`, error);
    }
  }

  /** Null when it is not there any more, or not yet. @throws NATS_UNREACHABLE */
  async messageAt(stream: string, seq: number): Promise<StreamMessage | null> {
    try {
      const { subject, data, time } = await this.answered(this.manager.streams.getMessage(stream, { seq }));
      return { seq, subject, data, storedAtMs: time.getTime() };
    } catch (error) {
      if (['not_found', 'no_message'].includes(natsErrorCode(error))) return null;
      throw unreachable(`the stream ${stream} does not answer`, error);
    }
  }

  /** Removes messages below `seq`. @throws NATS_UNREACHABLE */
  async purgeBelow(stream: string, seq: number): Promise<void> {
    await this.answered(this.manager.streams.purge(stream, { seq })).catch((error: unknown) => {
      throw unreachable(`the stream ${stream} could not be trimmed`, error);
    });
  }

  /**
   * Messages of a stream in order from `fromSeq` on, without end; survives reconnections, and the end of any server.
   * Ends when `signal` aborts or the link closes.
   */
  async *consume(stream: string, fromSeq: number, signal: AbortSignal): AsyncGenerator<StreamMessage> {
    let next = fromSeq;
    while (!signal.aborted && !this.connection.isClosed()) {
      try {
        for await (const { seq, subject, data, info } of consumption(
          this,
          { stream, fromSeq: next },
          signal,
        )) {
          next = seq + 1;
          yield { seq, subject, data, storedAtMs: Math.floor(info.timestampNanos / 1e6) };
        }
      } catch {
        await sleep(RETRY_WAIT_MS);
      }
    }
  }

  /** Sends what is buffered and closes. */
  async close(): Promise<void> {
    if (this.connection.isClosed()) return;
    if (this.#connected) {
      const drained = this.connection.drain().catch(() => undefined);
      await Promise.race([drained, sleep(DRAIN_WITHIN_MS, undefined, { ref: false })]);
    }
    await this.connection.close();
  }

  async #followStatus(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === Events.Disconnect) this.#connected = false;
      if (status.type === Events.Reconnect) {
        this.#connected = true;
        for (const listener of [...this.#reconnectListeners]) listener();
      }
    }
    this.#connected = false;
  }
}
