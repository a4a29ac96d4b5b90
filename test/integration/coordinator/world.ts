/** A coordinator with short times, a client of its API, and small helpers for the tests in this folder. */
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  CoordinatorServiceClient,
  type GetSweepResponse,
  type SubmitSweepResponse,
  type WatchSweepResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import {
  startCoordinator,
  type CoordinatorOptions,
  type RunningCoordinator,
} from '../../../services/coordinator/index.js';

export const coordinatorOptions = (
  natsUrl: string,
  over: Partial<CoordinatorOptions> = {},
): CoordinatorOptions => ({
  natsUrl,
  token: null,
  grpcPort: 0,
  httpPort: 0,
  coordinatorId: 'one',
  // Longer than a shared machine stands still: only tests of leadership lose a lease.
  leaseTtlMs: 15_000,
  trainerTtlMs: 1_000,
  lostAfterMs: 3_000,
  logLevel: 'silent',
  ...over,
});

/** Starts a coordinator and waits until it leads. */
export async function startLeader(
  natsUrl: string,
  over: Partial<CoordinatorOptions> = {},
): Promise<RunningCoordinator> {
  const running = await startCoordinator(coordinatorOptions(natsUrl, over));
  await until(async () => (await readiness(running)).role === 'leading');
  return running;
}

export async function readiness(running: {
  readonly httpAddress: string;
}): Promise<{ role: string; term: number }> {
  const response = await fetch(`http://${running.httpAddress}/readyz`);
  return (await response.json()) as { role: string; term: number };
}

/**
 * A condition that throws is not true yet.
 * @param explain what a failure should say beside the condition
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  withinMs = 60_000,
  explain?: () => unknown,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  let cause: unknown;
  const holds = async (): Promise<boolean> => {
    try {
      return await condition();
    } catch (error) {
      cause = error;
      return false;
    }
  };
  while (!(await holds())) {
    if (performance.now() > deadline) {
      const why = explain === undefined ? '' : `\n${JSON.stringify(await explain(), null, 2)}`;
      throw new Error(`not within ${withinMs} ms: ${condition.toString()}${why}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The API with promises. */
export class Client {
  readonly raw: CoordinatorServiceClient;
  readonly #metadata = new Metadata();

  constructor(address: string, token?: string) {
    this.raw = new CoordinatorServiceClient(address, credentials.createInsecure());
    if (token !== undefined) this.#metadata.set('authorization', `Bearer ${token}`);
  }

  close(): void {
    this.raw.close();
  }

  submit(yaml: string, requestId = '', overrides: readonly string[] = []): Promise<SubmitSweepResponse> {
    return this.#call((done) =>
      this.raw.submitSweep(
        { yaml, overrides, requestId, tags: [], smoke: false, code: undefined },
        this.#metadata,
        options(),
        done,
      ),
    );
  }

  sweep(sweepId = ''): Promise<GetSweepResponse> {
    return this.#call((done) => this.raw.getSweep({ sweepId }, this.#metadata, options(), done));
  }

  call<T>(
    method: (
      client: CoordinatorServiceClient,
      metadata: Metadata,
      done: (error: ServiceError | null, response: T) => void,
    ) => unknown,
  ): Promise<T> {
    return this.#call((done) => method(this.raw, this.#metadata, done));
  }

  /** Every message until the stream ends. */
  async watch(sweepId: string): Promise<WatchSweepResponse[]> {
    const messages: WatchSweepResponse[] = [];
    for await (const message of this.raw.watchSweep({ sweepId }, this.#metadata)) {
      messages.push(message as WatchSweepResponse);
    }
    return messages;
  }

  #call<T>(method: (done: (error: ServiceError | null, response: T) => void) => unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      method((error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
  }
}

export function close(...clients: readonly Client[]): Promise<void> {
  for (const client of clients) client.close();
  return Promise.resolve();
}

const options = (): { deadline: number } => ({ deadline: Date.now() + 10_000 });

/** The error code that came with a failed call. */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const metadata = (error as ServiceError).metadata as Metadata | undefined;
    return String(metadata?.get('wattsweep-code')[0] ?? (error as Error).message);
  }
  return 'no failure';
}

export const SWEEP = `
name: tiny
recipe: resnet-cifar10
objective: { metric: val_accuracy, goal: maximize }
max_epochs: 3
sweep:
  batch_size: [32, 64, 128]
  lr_peak: [0.1, 0.2]
`;
