/**
 * The coordinator's API for commands: where it is, promises instead of callbacks, and errors as {@link WattsweepError}.
 */
import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ClientUnaryCall } from '@grpc/grpc-js';
import { type ErrorCode, WattsweepError } from '../proto/errors.js';
import type {
  ControlSweepResponse,
  ControlTrainerResponse,
  CoordinatorServiceClient,
  ExplainTrialResponse,
  GetSweepResponse,
  ListSweepsResponse,
  ListTrainersResponse,
  ReplaySweepResponse,
  StopHeldAttemptResponse,
  SubmitSweepResponse,
  SweepControl,
  TrainerControl,
  WatchSweepResponse,
} from '../proto/gen/wattsweep/v1/coordinator.js';
import type { Plan } from '../services/coordinator/spec/index.js';
import { attached, tokenMetadata } from '../proto/grpc.js';
import { LeaderFinder, isServiceError } from './leader.js';
import { DEFAULT_PORTS, type ServerOptions, dataDir } from './options.js';
import { readUpRecord } from './up/record.js';
import { givenToken } from './up/token.js';

const ANSWER_WITHIN_MS = 10_000;
/** A report of a thousand trials is a large document; a replay reads the whole ledger. */
const REPORT_WITHIN_MS = 60_000;

export interface Server {
  /** `host:port`, several with commas; which of them leads is found out. */
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

/** Whether a coordinator is named by flag or environment, or known from an `up`. */
export function isServerNamed(
  options: ServerOptions,
  env: NodeJS.ProcessEnv = process.env,
): 'by-hand' | 'by-up' | 'no' {
  if ((options.server ?? env['WATTSWEEP_SERVER']) !== undefined) return 'by-hand';
  return readUpRecord(dataDir(options)) === null ? 'no' : 'by-up';
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export class Coordinator {
  readonly #token: string | null;
  readonly #finder: LeaderFinder;

  constructor({ address, token }: Server) {
    this.#token = token;
    this.#finder = new LeaderFinder(address);
  }

  submit(request: {
    yaml: string;
    overrides: readonly string[];
    requestId: string;
  }): Promise<SubmitSweepResponse> {
    return this.#call((client) => client.submitSweep.bind(client), request);
  }

  list(): Promise<ListSweepsResponse> {
    return this.#call((client) => client.listSweeps.bind(client), {});
  }

  /** The sweep with its trials; the newest one for an empty name. */
  get(sweepId: string): Promise<GetSweepResponse> {
    return this.#call((client) => client.getSweep.bind(client), { sweepId });
  }

  control(sweepId: string, control: SweepControl): Promise<ControlSweepResponse> {
    return this.#call((client) => client.controlSweep.bind(client), { sweepId, control });
  }

  explain(sweepId: string, trialId: string): Promise<ExplainTrialResponse> {
    return this.#call((client) => client.explainTrial.bind(client), { sweepId, trialId });
  }

  replay(sweepId: string): Promise<ReplaySweepResponse> {
    return this.#call((client) => client.replaySweep.bind(client), { sweepId }, REPORT_WITHIN_MS);
  }

  async report(sweepId: string): Promise<unknown> {
    const answer = await this.#call((client) => client.getReport.bind(client), { sweepId }, REPORT_WITHIN_MS);
    return JSON.parse(answer.reportJson) as unknown;
  }

  async plan(request: { yaml: string; overrides: readonly string[]; limit: number }): Promise<Plan> {
    const answer = await this.#call((client) => client.planSweep.bind(client), request);
    return JSON.parse(answer.planJson) as Plan;
  }

  trainers(): Promise<ListTrainersResponse> {
    return this.#call((client) => client.listTrainers.bind(client), {});
  }

  controlTrainer(
    trainerId: string,
    control: TrainerControl,
    { stopRunning = false }: { readonly stopRunning?: boolean } = {},
  ): Promise<ControlTrainerResponse> {
    return this.#call((client) => client.controlTrainer.bind(client), { trainerId, control, stopRunning });
  }

  stopHeld(trainerId: string, attempt: string, ledgerId: string): Promise<StopHeldAttemptResponse> {
    return this.#call((client) => client.stopHeldAttempt.bind(client), { trainerId, attempt, ledgerId });
  }

  /** The whole state first, then each change; ends when the sweep does, throws when the coordinator goes away. */
  async *watch(sweepId: string, signal?: AbortSignal): AsyncGenerator<WatchSweepResponse, void, undefined> {
    const tries = this.#finder.begin();
    let heard = false;
    while (!signal?.aborted) {
      const { client, address } = await tries.next();
      const stream: ClientReadableStream<WatchSweepResponse> = client.watchSweep(
        { sweepId },
        tokenMetadata(this.#token),
      );
      const cancel = () => stream.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        for await (const message of stream) {
          heard = true;
          yield message as WatchSweepResponse;
        }
        return;
      } catch (error) {
        if (signal?.aborted) return;
        if (heard || !(await tries.again(error))) throw fromServiceError(error, address);
      } finally {
        signal?.removeEventListener('abort', cancel);
        stream.cancel();
      }
    }
  }

  close(): void {
    this.#finder.close();
  }

  async #call<Request, Response>(
    method: (client: CoordinatorServiceClient) => Unary<Request, Response>,
    request: Request,
    withinMs = ANSWER_WITHIN_MS,
  ): Promise<Response> {
    const tries = this.#finder.begin();
    for (;;) {
      const { client, address } = await tries.next();
      try {
        return await new Promise<Response>((resolve, reject) => {
          const options = { deadline: Date.now() + withinMs };
          method(client)(request, tokenMetadata(this.#token), options, (error, response) => {
            if (error) reject(error);
            else resolve(response);
          });
        });
      } catch (error) {
        if (!(await tries.again(error))) throw fromServiceError(error, address);
      }
    }
  }
}

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
