/** The coordinator's gRPC API with promises: one method a call, errors as {@link WattsweepError}. Follows the leader. */
import { once } from 'node:events';
import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ClientUnaryCall } from '@grpc/grpc-js';
import { type ErrorCode, WattsweepError } from '../proto/errors.js';
import type {
  ArchiveSweepResponse,
  CompareSweepFileRequest,
  ControlSweepResponse,
  ControlTrainerResponse,
  CoordinatorServiceClient,
  DeleteSweepResponse,
  ExplainTrialResponse,
  ExtendSweepRequest,
  ExtendSweepResponse,
  GetSweepResponse,
  LimitChange,
  ListSweepsRequest,
  ListSweepsResponse,
  ListTrainersResponse,
  PackedCode,
  PlanSweepRequest,
  ReadTrialOutputRequest,
  ReadTrialOutputResponse,
  ReplaySweepResponse,
  RerunTrialsRequest,
  RerunTrialsResponse,
  SetLimitsResponse,
  StopHeldAttemptResponse,
  SubmitSweepRequest,
  SubmitSweepResponse,
  SweepControl,
  TagSweepRequest,
  TagSweepResponse,
  TrainerControl,
  UploadCodeResponse,
  WatchSweepResponse,
} from '../proto/gen/wattsweep/v1/coordinator.js';
import { attached, tokenMetadata } from '../proto/grpc.js';
import { LeaderFinder, isServiceError } from './leader.js';

const ANSWER_WITHIN_MS = 10_000;
/** A report of a thousand trials is a large document; a replay reads the whole ledger. */
const REPORT_WITHIN_MS = 60_000;
/** The coordinator waits 10 s for the box. */
const OUTPUT_WITHIN_MS = 15_000;
/** 64 MiB over a slow line. */
const UPLOAD_WITHIN_MS = 600_000;

export interface Server {
  /** `host:port`, several with commas; which of them leads is found out. */
  readonly address: string;
  readonly token: string | null;
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/** A sweep file to run. */
export type Submission = Omit<SubmitSweepRequest, 'tags' | 'smoke' | 'code'> &
  Partial<Pick<SubmitSweepRequest, 'tags' | 'smoke' | 'code'>>;

export class Coordinator {
  readonly #token: string | null;
  readonly #finder: LeaderFinder;

  constructor({ address, token }: Server) {
    this.#token = token;
    this.#finder = new LeaderFinder(address);
  }

  submit({ tags = [], smoke = false, code, ...request }: Submission): Promise<SubmitSweepResponse> {
    return this.#call((client) => client.submitSweep.bind(client), { ...request, tags, smoke, code });
  }

  /** Sends a packed folder. @param pieces from its beginning, each time anew. @throws CODE_REFUSED */
  async uploadCode(
    { sha256, bytes }: Pick<PackedCode, 'sha256' | 'bytes'>,
    pieces: () => AsyncIterable<Buffer>,
  ): Promise<UploadCodeResponse> {
    const tries = this.#finder.begin();
    for (;;) {
      const { client, address } = await tries.next();
      try {
        return await send(client, tokenMetadata(this.#token), { sha256, bytes }, pieces());
      } catch (error) {
        if (error instanceof WattsweepError) throw error;
        if (!(await tries.again(error))) throw fromServiceError(error, address);
      }
    }
  }

  /** Newest first. */
  list(request: ListSweepsRequest): Promise<ListSweepsResponse> {
    return this.#call((client) => client.listSweeps.bind(client), request);
  }

  rerun(request: RerunTrialsRequest): Promise<RerunTrialsResponse> {
    return this.#call((client) => client.rerunTrials.bind(client), request);
  }

  extend(request: ExtendSweepRequest): Promise<ExtendSweepResponse> {
    return this.#call((client) => client.extendSweep.bind(client), request);
  }

  setLimits(sweepId: string, changes: readonly LimitChange[]): Promise<SetLimitsResponse> {
    return this.#call((client) => client.setLimits.bind(client), { sweepId, changes });
  }

  tag(request: TagSweepRequest): Promise<TagSweepResponse> {
    return this.#call((client) => client.tagSweep.bind(client), request);
  }

  archive(sweepId: string, archived: boolean): Promise<ArchiveSweepResponse> {
    return this.#call((client) => client.archiveSweep.bind(client), { sweepId, archived });
  }

  delete(sweepId: string, force: boolean): Promise<DeleteSweepResponse> {
    return this.#call((client) => client.deleteSweep.bind(client), { sweepId, force });
  }

  /** What the file says otherwise than the recorded sweep, one phrase a key. */
  async compare(request: CompareSweepFileRequest): Promise<readonly string[]> {
    return (await this.#call((client) => client.compareSweepFile.bind(client), request)).differences;
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

  /** A piece of what a trial's program has printed. */
  readOutput(request: ReadTrialOutputRequest): Promise<ReadTrialOutputResponse> {
    return this.#call((client) => client.readTrialOutput.bind(client), request, OUTPUT_WITHIN_MS);
  }

  replay(sweepId: string): Promise<ReplaySweepResponse> {
    return this.#call((client) => client.replaySweep.bind(client), { sweepId }, REPORT_WITHIN_MS);
  }

  async report(sweepId: string): Promise<unknown> {
    const answer = await this.#call((client) => client.getReport.bind(client), { sweepId }, REPORT_WITHIN_MS);
    return JSON.parse(answer.reportJson) as unknown;
  }

  /** The plan of a file on this fleet, as `wattsweep plan --json` prints it. */
  async plan(request: PlanSweepRequest): Promise<unknown> {
    const answer = await this.#call((client) => client.planSweep.bind(client), request);
    return JSON.parse(answer.planJson) as unknown;
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

/** One try. An answer may come before all is sent. @throws ServiceError, errors of `pieces` */
function send(
  client: CoordinatorServiceClient,
  metadata: Metadata,
  { sha256, bytes }: Pick<PackedCode, 'sha256' | 'bytes'>,
  pieces: AsyncIterable<Buffer>,
): Promise<UploadCodeResponse> {
  return new Promise((resolve, reject) => {
    const answered = new AbortController();
    const { signal } = answered;
    const call = client.uploadCode(
      metadata,
      { deadline: Date.now() + UPLOAD_WITHIN_MS },
      (error, response) => {
        answered.abort();
        if (error) reject(error);
        else resolve(response);
      },
    );
    const write = async (): Promise<void> => {
      let isFirst = true;
      for await (const data of pieces) {
        if (signal.aborted) return;
        const head = isFirst ? { sha256, bytes } : { sha256: '', bytes: 0 };
        isFirst = false;
        // Nothing drains a call that is over.
        if (!call.write({ ...head, data })) await once(call, 'drain', { signal }).catch(() => undefined);
      }
      call.end();
    };
    call.on('error', () => undefined);
    write().catch((error: unknown) => {
      call.cancel();
      reject(error instanceof Error ? error : new Error(String(error)));
    });
  });
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
  // Of gRPC itself: a message that is larger than the other end takes.
  if (code === status.RESOURCE_EXHAUSTED)
    return ['SPEC_TOO_LARGE', `the request is too large for the coordinator at ${address}: ${details}`];
  return ['INTERNAL', `the coordinator at ${address} answered: ${details}`];
}
