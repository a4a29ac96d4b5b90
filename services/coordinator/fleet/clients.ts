/** gRPC clients to trainers: one channel an address, the join token and a deadline on every call. */
import { credentials, type Metadata, status, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import { errorRegistry } from '../../../proto/errors.js';
import {
  type ListAttemptsRequest,
  type ListAttemptsResponse,
  type ReadOutputRequest,
  type ReadOutputResponse,
  type StartAttemptRequest,
  type StartAttemptResponse,
  type StopAttemptRequest,
  type StopAttemptResponse,
  TrainerServiceClient,
} from '../../../proto/gen/wattsweep/v1/trainer.js';
import { attached, tokenMetadata } from '../../../proto/grpc.js';
import type { Answer } from './answer.js';
import { StartsTogether } from './starts-together.js';

/** The commands to trainers, by address. Each calls once and never throws. */
export interface TrainerCommands {
  startAttempt(address: string, request: StartAttemptRequest): Promise<Answer<StartAttemptResponse>>;
  stopAttempt(address: string, request: StopAttemptRequest): Promise<Answer<StopAttemptResponse>>;
  listAttempts(address: string, request: ListAttemptsRequest): Promise<Answer<ListAttemptsResponse>>;
  /** Closes channels to addresses that no trainer has any more. */
  keepOnly(addresses: ReadonlySet<string>): void;
  close(): void;
}

/** Reads the output of attempts, by address. Never throws. */
export interface OutputSource {
  readOutput(address: string, request: ReadOutputRequest): Promise<Answer<ReadOutputResponse>>;
  /** Closes channels to addresses that no trainer has any more. */
  keepOnly(addresses: ReadonlySet<string>): void;
}

/** One call on a client; the generated methods, with their `this`. */
type Call<T> = (
  client: TrainerServiceClient,
  metadata: Metadata,
  options: { readonly deadline: number },
  callback: (error: ServiceError | null, response: T) => void,
) => ClientUnaryCall;

const DEADLINE_MS = 10_000;
const CHANNEL_OPTIONS = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.enable_retries': 0,
  'grpc.keepalive_time_ms': 20_000,
};

export class TrainerClients implements TrainerCommands, OutputSource {
  readonly #metadata: Metadata;
  readonly #clients = new Map<string, TrainerServiceClient>();
  readonly #calls = new Set<ClientUnaryCall>();
  readonly #starts = new StartsTogether({
    one: (address, request) =>
      this.#call(address, (client, ...rest) => client.startAttempt(request, ...rest)),
    several: (address, starts) =>
      this.#call(address, (client, ...rest) => client.startAttempts({ starts: [...starts] }, ...rest)),
  });

  constructor(token: string | null) {
    this.#metadata = tokenMetadata(token);
  }

  startAttempt(address: string, request: StartAttemptRequest): Promise<Answer<StartAttemptResponse>> {
    return this.#starts.start(address, request);
  }

  stopAttempt(address: string, request: StopAttemptRequest): Promise<Answer<StopAttemptResponse>> {
    return this.#call(address, (client, ...rest) => client.stopAttempt(request, ...rest));
  }

  listAttempts(address: string, request: ListAttemptsRequest): Promise<Answer<ListAttemptsResponse>> {
    return this.#call(address, (client, ...rest) => client.listAttempts(request, ...rest));
  }

  readOutput(address: string, request: ReadOutputRequest): Promise<Answer<ReadOutputResponse>> {
    return this.#call(address, (client, ...rest) => client.readOutput(request, ...rest));
  }

  #call<T>(address: string, method: Call<T>): Promise<Answer<T>> {
    return new Promise<Answer<T>>((resolve) => {
      const options = { deadline: Date.now() + DEADLINE_MS };
      const call = method(this.#client(address), this.#metadata, options, (error, response) => {
        this.#calls.delete(call);
        resolve(error === null ? { kind: 'ok', response } : failureOf(error));
      });
      this.#calls.add(call);
    }).catch((error: unknown): Answer<T> => {
      // An address that is none.
      return { kind: 'unreachable', message: String(error) };
    });
  }

  keepOnly(addresses: ReadonlySet<string>): void {
    for (const [address, client] of this.#clients) {
      if (addresses.has(address)) continue;
      this.#clients.delete(address);
      this.#starts.forget(address);
      client.close();
    }
  }

  close(): void {
    for (const call of this.#calls) call.cancel();
    this.keepOnly(new Set());
  }

  #client(address: string): TrainerServiceClient {
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new TrainerServiceClient(address, credentials.createInsecure(), CHANNEL_OPTIONS);
      this.#clients.set(address, client);
    }
    return client;
  }
}

function failureOf(error: ServiceError): Answer<never> {
  const message = error.details;
  const { code, knownTerm = null } = attached(error) ?? {};
  if (code !== undefined && code !== 'UNAUTHENTICATED') {
    const { retryable } = errorRegistry[code];
    return { kind: 'refused', code, retryable, message, ...(knownTerm === null ? {} : { knownTerm }) };
  }
  if (error.code === status.UNIMPLEMENTED)
    return { kind: 'refused', code: 'PARAMETER_REFUSED', retryable: false, message, isUnknownCall: true };
  if (REFUSALS.has(error.code))
    return { kind: 'refused', code: 'PARAMETER_REFUSED', retryable: false, message };
  if (FAULTS.has(error.code)) return { kind: 'refused', code: 'INTERNAL', retryable: true, message };
  // A wrong token, too: mending it is the operator's business, and the trial is not to blame.
  return { kind: 'unreachable', message: `${status[error.code]}: ${message}` };
}

const REFUSALS: ReadonlySet<status> = new Set([status.INVALID_ARGUMENT, status.OUT_OF_RANGE]);
const FAULTS: ReadonlySet<status> = new Set([
  status.RESOURCE_EXHAUSTED,
  status.FAILED_PRECONDITION,
  status.INTERNAL,
  status.UNKNOWN,
]);
