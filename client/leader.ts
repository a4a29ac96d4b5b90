/**
 * Finds the coordinator that leads. Of several addresses the first that answers is asked; one that only stands by names
 * the leader, and the client goes there; while nobody leads (a standby needs two lease times to take over) it asks
 * again. Only a call that was certainly not carried out is repeated: one that could not connect, or was answered
 * NOT_LEADER.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServiceError, connectivityState, credentials } from '@grpc/grpc-js';
import { WattsweepError } from '../proto/errors.js';
import { CoordinatorServiceClient } from '../proto/gen/wattsweep/v1/coordinator.js';
import { attached } from '../proto/grpc.js';

const MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024;
const CONNECT_WITHIN_MS = 3_000;
const PAUSE_MS = 250;
/** Two leases of the default length. */
const FIND_WITHIN_MS = 20_000;

export interface Connected {
  readonly address: string;
  readonly client: CoordinatorServiceClient;
}

export class LeaderFinder {
  readonly #addresses: readonly string[];
  readonly #findWithinMs: number;
  readonly #clients = new Map<string, CoordinatorServiceClient>();
  /** Named by one that stands by; asked before the addresses given. */
  #leader: string | null = null;
  #turn = 0;

  /** @param addresses `host:port`, several with commas. @param findWithinMs how long nobody may lead. */
  constructor(addresses: string, findWithinMs = FIND_WITHIN_MS) {
    this.#addresses = addresses
      .split(',')
      .map((address) => address.trim())
      .filter((address) => address !== '');
    this.#findWithinMs = findWithinMs;
  }

  /** Tries of one call, with an end in time of their own. */
  begin(): Tries {
    return new Tries(this, performance.now() + this.#findWithinMs);
  }

  /** The next coordinator to ask: connected, or null when it does not answer. */
  async connect(): Promise<Connected | null> {
    const address = this.#leader ?? this.#addresses[this.#turn % this.#addresses.length] ?? '';
    const client = this.#client(address);
    if (await connects(client.getChannel())) return { address, client };
    this.#leave(null);
    return null;
  }

  get count(): number {
    return this.#addresses.length;
  }

  get named(): string {
    return this.#addresses.join(', ');
  }

  /** The one asked last does not lead; `leader` does, where that is known. */
  follow(leader: string | null): void {
    this.#leave(leader);
  }

  /** One that was named and is gone is not held against the addresses given. */
  #leave(leader: string | null): void {
    if (this.#leader === null) this.#turn += 1;
    this.#leader = leader;
  }

  #client(address: string): CoordinatorServiceClient {
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new CoordinatorServiceClient(address, credentials.createInsecure(), {
        'grpc.max_receive_message_length': MESSAGE_LIMIT_BYTES,
        'grpc.max_send_message_length': MESSAGE_LIMIT_BYTES,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 1_000,
      });
      this.#clients.set(address, client);
    }
    return client;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

export class Tries {
  readonly #finder: LeaderFinder;
  readonly #until: number;
  #unanswered = 0;

  constructor(finder: LeaderFinder, until: number) {
    this.#finder = finder;
    this.#until = until;
  }

  /** @throws COORDINATOR_UNREACHABLE when none of the addresses answers */
  async next(): Promise<Connected> {
    for (;;) {
      const connected = await this.#finder.connect();
      if (connected !== null) {
        this.#unanswered = 0;
        return connected;
      }
      this.#unanswered += 1;
      // One more than there are addresses: the first that failed may have been named by one of them.
      if (this.#unanswered > this.#finder.count || this.#isLate())
        throw new WattsweepError(
          'COORDINATOR_UNREACHABLE',
          `no coordinator answers at ${this.#finder.named}`,
        );
      if (this.#unanswered > 1) await sleep(PAUSE_MS);
    }
  }

  /** Whether to ask again after this failure; resolves when it is time to. */
  async again(error: unknown): Promise<boolean> {
    const said = isServiceError(error) ? attached(error) : null;
    if (said?.code !== 'NOT_LEADER' || this.#isLate()) return false;
    this.#finder.follow(said.leaderAddress);
    // The one named may be dead, its lease not yet run out.
    await sleep(PAUSE_MS);
    return true;
  }

  #isLate(): boolean {
    return performance.now() >= this.#until;
  }
}

/** Whether the channel stands, or can be opened soon. */
function connects(channel: ReturnType<CoordinatorServiceClient['getChannel']>): Promise<boolean> {
  const deadline = Date.now() + CONNECT_WITHIN_MS;
  return new Promise((resolve) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) resolve(true);
      else if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN)
        resolve(false);
      else channel.watchConnectivityState(state, deadline, (error) => (error ? resolve(false) : look()));
    };
    look();
  });
}

export const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && 'details' in error;
