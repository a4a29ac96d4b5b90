/**
 * The trainer's connection to NATS, and the only folder of the trainer that imports the client library. It connects
 * when NATS comes, reconnects for ever, and gives what the rest needs: acknowledged publishes and one KV bucket.
 */
import {
  connect,
  ErrorCode,
  Events,
  NatsError,
  type JetStreamClient,
  type KV,
  type NatsConnection,
} from 'nats';
import type { Logger } from 'pino';
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../../../proto/errors.js';
import { CheckpointObjects } from './checkpoint-objects.js';
import { CodeObjects } from './code-objects.js';

export interface NatsOptions {
  /** `nats://host:port`, several with commas. */
  readonly url: string;
  readonly token: string | null;
  readonly name: string;
  readonly log: Logger;
}

const RETRY_MS = 250;
const SAY_EVERY_MS = 10_000;
const WRONG_SEQUENCE = new Set([10071, 10164]);
const PUBLISH_TIMEOUT_MS = 5_000;

const isUnauthorized = (error: unknown): boolean =>
  error instanceof NatsError && error.code === ErrorCode.AuthorizationViolation.valueOf();

export class NatsLink {
  /** Requests under way; told when the connection breaks, which the client itself notices by time-out only. */
  readonly #underWay = new Set<(error: Error) => void>();

  readonly #closing = new AbortController();

  private constructor(
    private readonly connection: NatsConnection,
    private readonly jetstream: JetStreamClient,
  ) {
    void this.#watch();
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type !== Events.Disconnect) continue;
      for (const fail of this.#underWay) fail(new Error('the connection to NATS broke'));
    }
  }

  /** Waits until a server answers. Throws UNAUTHENTICATED when it refuses the token. */
  static async connect(options: NatsOptions): Promise<NatsLink> {
    let saidMs = -Infinity;
    for (;;) {
      try {
        const connection = await connect({
          servers: options.url.split(','),
          ...(options.token === null ? {} : { token: options.token }),
          name: options.name,
          timeout: 2_000,
          maxReconnectAttempts: -1,
          reconnectTimeWait: RETRY_MS,
          ignoreAuthErrorAbort: true,
          pingInterval: 5_000,
          maxPingOut: 2,
        });
        return new NatsLink(connection, connection.jetstream({ timeout: PUBLISH_TIMEOUT_MS }));
      } catch (error) {
        if (isUnauthorized(error))
          throw new WattsweepError('UNAUTHENTICATED', `NATS at ${options.url} refuses the join token.`, {
            cause: error,
          });
        if (performance.now() - saidMs > SAY_EVERY_MS) {
          options.log.warn(
            { url: options.url, reason: String(error) },
            'NATS does not answer; waiting for it',
          );
          saidMs = performance.now();
        }
        await sleep(RETRY_MS);
      }
    }
  }

  /** Resolves when the server has the message on its disk (or had it before). Throws when it did not say so. */
  async publish(subject: string, data: Uint8Array, messageId: string): Promise<void> {
    await this.#answered(this.jetstream.publish(subject, data, { msgID: messageId }));
  }

  /** The answer to a request, or a failure as soon as the connection breaks by which it was to come. */
  async #answered<T>(request: Promise<T>): Promise<T> {
    let fail: (error: Error) => void = () => undefined;
    const broken = new Promise<never>((_resolve, reject) => (fail = reject));
    this.#underWay.add(fail);
    try {
      return await Promise.race([request, broken]);
    } finally {
      this.#underWay.delete(fail);
    }
  }

  /** The object stores of checkpoints and of code, which the coordinator makes. Errors: those of the client. */
  async objectStores(): Promise<{ readonly checkpoints: CheckpointObjects; readonly code: CodeObjects }> {
    const manager = await this.connection.jetstreamManager({ checkAPI: false });
    const answered = <T>(request: Promise<T>): Promise<T> => this.#answered(request);
    return {
      checkpoints: new CheckpointObjects(this.jetstream, manager, answered),
      code: new CodeObjects(this.jetstream, manager, answered, this.#closing.signal),
    };
  }

  /** The bucket, once the coordinator has made it. */
  async bucket(name: string, log: Logger): Promise<KV> {
    let saidMs = performance.now();
    for (;;) {
      try {
        // A write here is compared with the last one read: reads come from the stream's leader.
        const kv = await this.jetstream.views.kv(name, { bindOnly: true, allow_direct: false });
        await kv.status();
        return kv;
      } catch (error) {
        if (performance.now() - saidMs > SAY_EVERY_MS) {
          log.warn(
            { bucket: name, reason: String(error) },
            'no coordinator has made the bucket yet; waiting for it',
          );
          saidMs = performance.now();
        }
        await sleep(RETRY_MS);
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    // A drain waits for the server; when it is away there is nobody to wait for.
    await Promise.race([this.connection.drain().catch(() => undefined), sleep(500)]);
    await this.connection.close();
  }
}

/** True when somebody else has written the key meanwhile. */
export const isWrongSequence = (error: unknown): boolean =>
  error instanceof NatsError && WRONG_SEQUENCE.has(error.api_error?.err_code ?? 0);
