/**
 * The coordinator's API for commands: where it is, promises instead of callbacks, and errors as {@link WattsweepError}.
 */
import { type Metadata, type ServiceError, credentials, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ClientUnaryCall } from '@grpc/grpc-js';
import { type ErrorCode, WattsweepError } from '../proto/errors.js';
import {
  type ControlSweepResponse,
  CoordinatorServiceClient,
  type ExplainTrialResponse,
  type GetSweepResponse,
  type ListSweepsResponse,
  type ListTrainersResponse,
  type ReplaySweepResponse,
  type SubmitSweepResponse,
  type SweepControl,
  type WatchSweepResponse,
} from '../proto/gen/wattsweep/v1/coordinator.js';
import { attached, tokenMetadata } from '../proto/grpc.js';
import { DEFAULT_PORTS, type ServerOptions, dataDir } from './options.js';
import { readUpRecord } from './up/record.js';
import { givenToken } from './up/token.js';

const ANSWER_WITHIN_MS = 10_000;
/** A report of a thousand trials is a large document; a replay reads the whole ledger. */
const REPORT_WITHIN_MS = 60_000;
const MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024;

export interface Server {
  readonly address: string;
  readonly token: string | null;
}

/** Flag, then environment, then what `up` wrote into its data folder, then the default. */
export function resolveServer(options: ServerOptions, env: NodeJS.ProcessEnv = process.env): Server {
  const named = options.server ?? env['WATTSWEEP_SERVER'];
  const record = readUpRecord(dataDir(options));
  const address = named ?? (record?.grpcAddress || null) ?? `127.0.0.1:${DEFAULT_PORTS.grpc}`;
  const recorded = record?.grpcAddress === address ? record.token : null;
  return { address, token: givenToken(options.token, env) ?? recorded };
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export class Coordinator {
  readonly #server: Server;
  readonly #client: CoordinatorServiceClient;

  constructor(server: Server) {
    this.#server = server;
    this.#client = new CoordinatorServiceClient(server.address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MESSAGE_LIMIT_BYTES,
      'grpc.max_send_message_length': MESSAGE_LIMIT_BYTES,
    });
  }

  submit(request: {
    yaml: string;
    overrides: readonly string[];
    requestId: string;
  }): Promise<SubmitSweepResponse> {
    return this.#call(this.#client.submitSweep.bind(this.#client), request);
  }

  list(): Promise<ListSweepsResponse> {
    return this.#call(this.#client.listSweeps.bind(this.#client), {});
  }

  /** The sweep with its trials; the newest one for an empty name. */
  get(sweepId: string): Promise<GetSweepResponse> {
    return this.#call(this.#client.getSweep.bind(this.#client), { sweepId });
  }

  control(sweepId: string, control: SweepControl): Promise<ControlSweepResponse> {
    return this.#call(this.#client.controlSweep.bind(this.#client), { sweepId, control });
  }

  explain(sweepId: string, trialId: string): Promise<ExplainTrialResponse> {
    return this.#call(this.#client.explainTrial.bind(this.#client), { sweepId, trialId });
  }

  replay(sweepId: string): Promise<ReplaySweepResponse> {
    return this.#call(this.#client.replaySweep.bind(this.#client), { sweepId }, REPORT_WITHIN_MS);
  }

  async report(sweepId: string): Promise<unknown> {
    const answer = await this.#call(this.#client.getReport.bind(this.#client), { sweepId }, REPORT_WITHIN_MS);
    return JSON.parse(answer.reportJson) as unknown;
  }

  trainers(): Promise<ListTrainersResponse> {
    return this.#call(this.#client.listTrainers.bind(this.#client), {});
  }

  /** The whole state first, then each change; ends when the sweep does, throws when the coordinator goes away. */
  async *watch(sweepId: string, signal?: AbortSignal): AsyncGenerator<WatchSweepResponse, void, undefined> {
    const stream: ClientReadableStream<WatchSweepResponse> = this.#client.watchSweep(
      { sweepId },
      tokenMetadata(this.#server.token),
    );
    const cancel = () => stream.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of stream) yield message as WatchSweepResponse;
    } catch (error) {
      if (!signal?.aborted) throw this.#translate(error);
    } finally {
      signal?.removeEventListener('abort', cancel);
      stream.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }

  #call<Request, Response>(
    method: Unary<Request, Response>,
    request: Request,
    withinMs = ANSWER_WITHIN_MS,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      method(
        request,
        tokenMetadata(this.#server.token),
        { deadline: Date.now() + withinMs },
        (error, response) => {
          if (error) reject(this.#translate(error));
          else resolve(response);
        },
      );
    });
  }

  #translate(error: unknown): WattsweepError {
    return fromServiceError(error, this.#server.address);
  }
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && 'details' in error;

/** The code that the service attached, else what gRPC itself says of the connection. */
export function fromServiceError(error: unknown, address: string): WattsweepError {
  if (!isServiceError(error)) {
    return new WattsweepError('INTERNAL', error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
  const said = attached(error);
  if (said !== null) {
    const { code, advice } = said;
    return new WattsweepError(code, error.details, { cause: error, ...(advice ? { advice } : {}) });
  }
  const [translated, message] = connectionFault(error, address);
  return new WattsweepError(translated, message, { cause: error });
}

function connectionFault({ code, details }: ServiceError, address: string): [ErrorCode, string] {
  if (code === status.UNAVAILABLE || code === status.CANCELLED)
    return ['COORDINATOR_UNREACHABLE', `no coordinator answers at ${address}`];
  if (code === status.DEADLINE_EXCEEDED)
    return ['COORDINATOR_UNREACHABLE', `the coordinator at ${address} did not answer in time`];
  if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED)
    return ['UNAUTHENTICATED', `the coordinator at ${address} refused: ${details}`];
  return ['INTERNAL', `the coordinator at ${address} answered: ${details}`];
}

/** Runs `use` on a connection and closes it, whatever happens. */
export async function withCoordinator<T>(
  options: ServerOptions,
  use: (coordinator: Coordinator) => Promise<T>,
): Promise<T> {
  const coordinator = new Coordinator(resolveServer(options));
  try {
    return await use(coordinator);
  } finally {
    coordinator.close();
  }
}
