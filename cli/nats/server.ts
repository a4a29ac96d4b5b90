/**
 * One nats-server process of our own: its configuration, its start, and what its failures mean. The process writes to a
 * log file and listens by itself, so it outlives whoever started it; who wants it to end sends SIGTERM.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WattsweepError } from '../../proto/errors.js';

/** Server-side `sync_interval: always`, per-message limits and subject transforms as we use them. */
export const MINIMUM_NATS = '2.12.0';

const READY_WITHIN_MS = 30_000;
const VERSION_WITHIN_MS = 10_000;

export interface NatsOptions {
  readonly binary: string;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Holds `jetstream/` (the ledger), `nats.conf` and `nats.log`. */
  readonly dataDir: string;
  /** Join token; null for none, on loopback only. */
  readonly token: string | null;
}

export interface NatsProcess {
  readonly child: ChildProcess;
  readonly port: number;
}

/** Whether a server of that version lacks what is needed. */
export const isOldNats = (version: string): boolean =>
  version.localeCompare(MINIMUM_NATS, 'en', { numeric: true }) < 0;

/** `2.15.1` of a nats-server binary. @throws NATS_TOO_OLD when it is older than {@link MINIMUM_NATS}, or is none. */
export async function checkNatsVersion(binary: string): Promise<string> {
  const output = await promisify(execFile)(binary, ['--version'], { timeout: VERSION_WITHIN_MS }).catch(
    (error: unknown) => {
      throw new WattsweepError('NATS_TOO_OLD', `${binary} does not run as a nats-server`, { cause: error });
    },
  );
  const version = /v?(\d+\.\d+\.\d+)/.exec(output.stdout + output.stderr)?.[1];
  if (version === undefined) throw new WattsweepError('NATS_TOO_OLD', `${binary} does not say its version`);
  if (isOldNats(version)) {
    throw new WattsweepError(
      'NATS_TOO_OLD',
      `${binary} is nats-server ${version}, older than ${MINIMUM_NATS}`,
    );
  }
  return version;
}

/** The configuration. JSON strings are valid in it, so no value can end its line. */
export function natsConfig(options: NatsOptions): string {
  return [
    'server_name: wattsweep',
    `listen: ${JSON.stringify(`${options.host}:${options.port === 0 ? -1 : options.port}`)}`,
    `ports_file_dir: ${JSON.stringify(join(options.dataDir, 'run'))}`,
    // Every acknowledged write is on disk: a ledger that forgets its last second would train it twice.
    `jetstream { store_dir: ${JSON.stringify(join(options.dataDir, 'jetstream'))}, sync_interval: always }`,
    ...(options.token === null ? [] : [`authorization { token: ${JSON.stringify(options.token)} }`]),
    '',
  ].join('\n');
}

/**
 * Starts a server and waits until it listens.
 * @throws PORT_IN_USE, NATS_TOO_OLD, START_FAILED (with its last words) when it does not come up.
 */
export async function startNatsServer(options: NatsOptions): Promise<NatsProcess> {
  await checkNatsVersion(options.binary);
  await assertPortFree(options.host, options.port);
  const runDir = join(options.dataDir, 'run');
  mkdirSync(runDir, { recursive: true });
  for (const name of portFiles(runDir)) rmSync(join(runDir, name), { force: true });
  const config = join(options.dataDir, 'nats.conf');
  writeFileSync(config, natsConfig(options), { mode: 0o600 });
  const log = join(options.dataDir, 'nats.log');
  const logStart = sizeOf(log);
  const fd = openSync(log, 'a');
  // A session of its own: Ctrl-C in the terminal reaches whoever supervises it, which ends it last.
  const child = spawn(options.binary, ['-c', config], { stdio: ['ignore', fd, fd], detached: true });
  closeSync(fd);
  const failure = new Promise<Failure>((resolve) => {
    child.once('error', (error) => resolve({ cause: error }));
    child.once('exit', () => resolve({ cause: null }));
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  let failed: Failure | null = null;
  while (failed === null && performance.now() < deadline) {
    const port = portFrom(runDir);
    if (port !== null) return { child, port };
    failed = await Promise.race([sleep(20, null), failure]);
  }
  child.kill('SIGKILL');
  throw startFailure(options, lastWords(log, logStart), failed?.cause ?? null);
}

interface Failure {
  readonly cause: Error | null;
}

const portFiles = (runDir: string): string[] => readdirSync(runDir).filter((name) => name.endsWith('.ports'));

/** The server writes its ports into a file once it listens. */
function portFrom(runDir: string): number | null {
  for (const name of portFiles(runDir)) {
    const port = /"nats:\/\/[^"]*:(\d+)"/.exec(readFileSync(join(runDir, name), 'utf8'))?.[1];
    if (port !== undefined) return Number(port);
  }
  return null;
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

function lastWords(log: string, from: number): string {
  return readFileSync(log).subarray(from).toString('utf8').trim().split('\n').slice(-5).join('\n');
}

function startFailure(options: NatsOptions, words: string, cause: Error | null): WattsweepError {
  if (/address already in use/.test(words)) return portInUse(options.host, options.port);
  const said = words === '' ? (cause?.message ?? 'it did not say why') : words;
  return new WattsweepError('START_FAILED', `nats-server did not start: ${said}`, { cause });
}

const portInUse = (host: string, port: number): WattsweepError =>
  new WattsweepError('PORT_IN_USE', `port ${port} on ${host} is in use`);

/** @throws PORT_IN_USE when something else listens there. */
export function assertPortFree(host: string, port: number): Promise<void> {
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? portInUse(host, port) : unusable(host, port, error));
    });
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
}

const unusable = (host: string, port: number, cause: Error): WattsweepError =>
  new WattsweepError('PORT_IN_USE', `cannot listen on ${host}:${port}: ${cause.message}`, { cause });
