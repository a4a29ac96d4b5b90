/** Helpers for tests of the trainer: its programs built fresh from the sources, a client, and what it published. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { build } from 'esbuild';
import {
  connect,
  DiscardPolicy,
  nanos,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type NatsConnection,
} from 'nats';
import { ReportBatch, TelemetryBatch, type Report } from '../../proto/gen/wattsweep/v1/facts.js';
import {
  TrainerServiceClient,
  type DescribeResponse,
  type DrainResponse,
  type ListAttemptsResponse,
  type StartAttemptRequest,
  type StartAttemptResponse,
  type StartAttemptsResponse,
  type StopAttemptResponse,
  type StopMode,
} from '../../proto/gen/wattsweep/v1/trainer.js';
import { attached, tokenMetadata } from '../../proto/grpc.js';
import {
  REPORTS_STREAM,
  REPORTS_SUBJECTS,
  TELEMETRY_STREAM,
  TELEMETRY_SUBJECTS,
  TRAINERS_BUCKET,
} from '../../proto/subjects.js';
import { isAlive } from '../../services/trainer/host/process.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

export const fakeRunner: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL('./fake-runner.mjs', import.meta.url)),
];

let programs: Promise<{ readonly supervisor: string; readonly service: string }> | null = null;

/** Builds the supervisor and a service process from the sources, once a test file. */
export function trainerPrograms(): Promise<{ readonly supervisor: string; readonly service: string }> {
  programs ??= (async () => {
    // Beside node_modules, so that packages are found.
    const cache = `${root}node_modules/.cache/wattsweep-test`;
    const outdir = `${cache}/${String(process.pid)}`;
    mkdirSync(outdir, { recursive: true });
    // Test workers are ended without a chance to clean up: the next one does it for them.
    for (const pid of readdirSync(cache))
      if (!isAlive({ pid: Number(pid), startTicks: 0 }))
        rmSync(`${cache}/${pid}`, { recursive: true, force: true });
    const shared = {
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'error',
    } as const;
    await build({
      ...shared,
      entryPoints: [`${root}services/trainer/supervisor/main.ts`],
      outfile: `${outdir}/supervisor.mjs`,
    });
    await build({
      ...shared,
      stdin: {
        contents: `import { startTrainer } from './services/trainer/index.ts';
          const running = await startTrainer(JSON.parse(process.argv[2]));
          console.log(JSON.stringify({ grpcAddress: running.grpcAddress }));
          process.on('SIGTERM', () => running.close({ drain: true }).then(() => process.exit(0)));`,
        resolveDir: root,
      },
      outfile: `${outdir}/service.mjs`,
    });
    return { supervisor: `${outdir}/supervisor.mjs`, service: `${outdir}/service.mjs` };
  })();
  return programs;
}

export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly grpcAddress: string;
  readonly log: () => string;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

/** SIGTERM, and waits until the process is gone; at once where it is gone already. Gives its exit code. */
export async function terminate(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  return exited;
}

/** Starts the service as a process of its own; resolves when it is ready. */
export async function startServiceProcess(
  options: object,
  env: Readonly<Record<string, string>> = {},
): Promise<ServiceProcess> {
  const { service } = await trainerPrograms();
  const child = spawn(process.execPath, [service, JSON.stringify(options)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) =>
      resolve((JSON.parse(line) as { grpcAddress: string }).grpcAddress),
    );
    child.once('exit', (code) => reject(new Error(`the service exited with ${String(code)}:\n${log}`)));
  });
  return {
    child,
    grpcAddress: await ready,
    log: () => log,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Creates the streams and the bucket as a coordinator does. */
export async function createStreams(connection: NatsConnection, trainerTtlMs: number): Promise<void> {
  const manager = await connection.jetstreamManager();
  const common = { retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.New };
  await manager.streams.add({ ...common, name: REPORTS_STREAM, subjects: [REPORTS_SUBJECTS] });
  await manager.streams.add({ ...common, name: TELEMETRY_STREAM, subjects: [TELEMETRY_SUBJECTS] });
  await manager.streams.add({
    ...common,
    name: `KV_${TRAINERS_BUCKET}`,
    subjects: [`$KV.${TRAINERS_BUCKET}.>`],
    max_msgs_per_subject: 1,
    max_age: nanos(trainerTtlMs),
    duplicate_window: nanos(Math.min(trainerTtlMs, 120_000)),
    allow_rollup_hdrs: true,
  });
}

/** Everything on a stream, in order. */
async function messages(jetstream: JetStreamClient, stream: string): Promise<Uint8Array[]> {
  const manager = await jetstream.jetstreamManager();
  const { state } = await manager.streams.info(stream);
  const all: Uint8Array[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++)
    if (seq > 0) all.push((await manager.streams.getMessage(stream, { seq })).data);
  return all;
}

export async function connectNats(url: string, token?: string): Promise<NatsConnection> {
  return connect({
    servers: url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    ...(token ? { token } : {}),
  });
}

export async function publishedReports(connection: NatsConnection): Promise<Report[]> {
  return (await messages(connection.jetstream(), REPORTS_STREAM)).flatMap((data) => [
    ...ReportBatch.decode(data).reports,
  ]);
}

export async function publishedTelemetry(connection: NatsConnection): Promise<TelemetryBatch[]> {
  return (await messages(connection.jetstream(), TELEMETRY_STREAM)).map((data) =>
    TelemetryBatch.decode(data),
  );
}

/** A call's answer, or the error code that the trainer gave. */
export type Answer<T> = { readonly ok: T } | { readonly code: string; readonly message: string };

/** Promises around the generated client. */
export function trainerClient(address: string, token?: string) {
  const client = new TrainerServiceClient(address, credentials.createInsecure());
  const metadata = tokenMetadata(token ?? null);
  const fence = { ledgerId: 'ledger-1', term: 1, termId: '' };
  const call = <T>(
    method: (done: (error: ServiceError | null, response: T) => void) => void,
  ): Promise<Answer<T>> =>
    new Promise((resolve) =>
      method((error, response) =>
        resolve(
          error === null
            ? { ok: response }
            : { code: attached(error)?.code ?? String(error.code), message: error.details },
        ),
      ),
    );
  const request = (
    trialId: string,
    parameters: object,
    more: Partial<StartAttemptRequest> = {},
  ): StartAttemptRequest => ({
    fence,
    key: { sweepId: 'sweep', trialId, attempt: 1, termId: '' },
    slotId: 'cpu',
    recipe: 'resnet-cifar10',
    command: [],
    parametersJson: JSON.stringify(parameters),
    maxEpochs: 3,
    seed: 1,
    repeat: 1,
    objectiveMetric: 'val_accuracy',
    resumeFrom: '',
    furtherSlotIds: [],
    trialTermId: '',
    setup: undefined,
    code: undefined,
    ...more,
  });
  return {
    describe: () => call<DescribeResponse>((done) => client.describe({}, metadata, done)),
    start: (trialId: string, parameters: object, more: Partial<StartAttemptRequest> = {}) =>
      call<StartAttemptResponse>((done) =>
        client.startAttempt(request(trialId, parameters, more), metadata, done),
      ),
    /** Several in one call. */
    startAll: (starts: readonly (readonly [trialId: string, more: Partial<StartAttemptRequest>])[]) =>
      call<StartAttemptsResponse>((done) =>
        client.startAttempts(
          { starts: starts.map(([trialId, more]) => request(trialId, { epochs: 1 }, more)) },
          metadata,
          done,
        ),
      ),
    stop: (
      trialId: string,
      mode: StopMode,
      more: { attempt?: number; term?: number; ledgerId?: string } = {},
    ) =>
      call<StopAttemptResponse>((done) =>
        client.stopAttempt(
          {
            fence: { ...fence, term: more.term ?? 1 },
            key: { sweepId: 'sweep', trialId, attempt: more.attempt ?? 1, termId: '' },
            mode,
            reason: 'test',
            ledgerId: more.ledgerId ?? '',
          },
          metadata,
          done,
        ),
      ),
    list: (term = 1) =>
      call<ListAttemptsResponse>((done) =>
        client.listAttempts({ fence: { ...fence, term } }, metadata, done),
      ),
    drain: (stopRunning: boolean) =>
      call<DrainResponse>((done) => client.drain({ fence: undefined, stopRunning }, metadata, done)),
    close: () => client.close(),
  };
}
