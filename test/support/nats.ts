/**
 * A real nats-server for tests: 127.0.0.1, a port of its own choice, JetStream with file storage in a temporary
 * folder, every acknowledged write synced.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsServerPath } from '../../setup/locate.mjs';

export interface TestNats {
  readonly url: string;
  readonly port: number;
  /** Folder of the JetStream store; give it as `dataDir` to start again with the same data. */
  readonly dir: string;
  readonly process: ChildProcess;
  /** Ends the server in order; removes the folder unless the caller gave it. */
  stop(): Promise<void>;
  /** SIGKILL; the folder stays. */
  kill(): Promise<void>;
}

export interface TestNatsOptions {
  readonly dataDir?: string;
  /** Join token; none by default. */
  readonly token?: string;
  /** Further lines of its configuration. */
  readonly settings?: readonly string[];
  /** Port to listen on, to come back at the same address. @default a free one */
  readonly port?: number;
}

const START_TIMEOUT_MS = 15_000;

/** The binary that set-up put into the cache, `WATTSWEEP_NATS_SERVER`, or the one on PATH. */
export function natsBinary(): string {
  return natsServerPath() ?? 'nats-server';
}

/** Starts a server and waits until it accepts connections. */
export async function startNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const dir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'wattsweep-nats-')));
  const runDir = await mkdtemp(join(tmpdir(), 'wattsweep-nats-run-'));
  const config = join(runDir, 'nats.conf');
  await writeFile(
    config,
    [
      `listen: "127.0.0.1:${options.port ?? -1}"`,
      `ports_file_dir: ${JSON.stringify(runDir)}`,
      `jetstream { store_dir: ${JSON.stringify(dir)}, sync_interval: always }`,
      ...(options.settings ?? []),
      options.token === undefined ? '' : `authorization { token: ${JSON.stringify(options.token)} }`,
    ].join('\n'),
  );
  const child = spawn(natsBinary(), ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-20_000)));
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      log += String(error);
      resolve();
    });
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) child.kill(signal);
    await exited;
    await rm(runDir, { recursive: true, force: true });
  };

  const url = await firstUrl(runDir, () => child.exitCode !== null || child.pid === undefined, exited).catch(
    async () => {
      await end('SIGKILL');
      throw new Error(`nats-server (${natsBinary()}) did not start:\n${log}`);
    },
  );
  return {
    url,
    port: Number(new URL(url).port),
    dir,
    process: child,
    stop: async () => {
      await end('SIGTERM');
      if (options.dataDir === undefined) await rm(dir, { recursive: true, force: true });
    },
    kill: () => end('SIGKILL'),
  };
}

/** The server writes its ports into a file once it listens. */
async function firstUrl(runDir: string, dead: () => boolean, exited: Promise<void>): Promise<string> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && !dead()) {
    const file = existsSync(runDir)
      ? (await readdir(runDir)).find((name) => name.endsWith('.ports'))
      : undefined;
    if (file !== undefined) {
      const text = await readFile(join(runDir, file), 'utf8');
      const url = /"(nats:\/\/[^"]+)"/.exec(text)?.[1];
      if (url !== undefined) return url;
    }
    await Promise.race([sleep(20), exited]);
  }
  throw new Error('no ports file');
}
