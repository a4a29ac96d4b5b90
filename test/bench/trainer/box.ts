/** A real trainer for the benchmark: its own process, real supervisors and runners, a real NATS, facts as they arrive. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NatsConnection } from 'nats';
import { ReportBatch, type Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import type { StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { REPORTS_SUBJECTS } from '../../../proto/subjects.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { connectNats, createStreams, trainerClient } from '../../support/trainer.js';

const program = fileURLToPath(new URL('../../../bin/wattsweep.js', import.meta.url));
const TTL_MS = 10_000;
const TICKS_PER_SECOND = 100;

type Case = NonNullable<Report['fact']>['$case'];

/** Seconds of processor time, by part. */
export interface Cost {
  readonly service: number;
  readonly supervisors: number;
  readonly runners: number;
  readonly nats: number;
}

export class Box {
  readonly client: ReturnType<typeof trainerClient>;
  /** Reports that have arrived. */
  reports = 0;
  readonly #waiting = new Map<string, (() => void)[]>();

  private constructor(
    private readonly nats: TestNats,
    private readonly connection: NatsConnection,
    private readonly child: ChildProcess,
    private readonly dataDir: string,
    grpc: string,
  ) {
    this.client = trainerClient(grpc);
    void this.#listen();
  }

  /** @param flags Of `wattsweep trainer`. */
  static async open(flags: readonly string[]): Promise<Box> {
    const nats = await startNats();
    const connection = await connectNats(nats.url);
    await createStreams(connection, TTL_MS);
    const dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-bench-'));
    const args = ['trainer', '--nats', nats.url, '--data', dataDir, '--id', 'box', '--log-level', 'warn'];
    const child = spawn(process.execPath, [program, ...args, ...flags], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const grpc = await new Promise<string>((resolve, reject) => {
      child.once('message', (message) =>
        resolve((message as { readonly ready: { readonly grpc: string } }).ready.grpc),
      );
      child.once('exit', () => reject(new Error('the trainer did not start')));
    });
    return new Box(nats, connection, child, dataDir, grpc);
  }

  async #listen(): Promise<void> {
    for await (const { data } of this.connection.subscribe(REPORTS_SUBJECTS)) {
      for (const { fact } of ReportBatch.decode(data).reports) {
        this.reports += 1;
        const trialId = fact?.value.key?.trialId ?? '';
        const name = `${trialId} ${fact?.$case ?? ''}`;
        for (const resolve of this.#waiting.get(name) ?? []) resolve();
        this.#waiting.delete(name);
      }
    }
  }

  /** Resolves when the first fact of this kind has come. Call it before the start. */
  heard(trialId: string, fact: Case): Promise<void> {
    const name = `${trialId} ${fact}`;
    return new Promise((resolve) => this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), resolve]));
  }

  /** Runs a trial to its end. @returns Milliseconds from the call of StartAttempt. */
  async run(
    trialId: string,
    parameters: object,
    more: Partial<StartAttemptRequest>,
  ): Promise<{ readonly accepted: number; readonly firstEpoch: number; readonly ended: number }> {
    const begin = performance.now();
    const since = (): number => performance.now() - begin;
    const firstEpoch = this.heard(trialId, 'epoch').then(since);
    const ended = this.heard(trialId, 'ended').then(since);
    const answer = await this.client.start(trialId, parameters, more);
    if (!('ok' in answer)) throw new Error(answer.message);
    const accepted = since();
    return { accepted, ended: await ended, firstEpoch: await firstEpoch };
  }

  /** Processor time so far; of processes that have gone, nothing. */
  cost(): Cost {
    const tree = processes();
    const childrenOf = (pids: readonly number[]): number[] =>
      tree.filter(({ parent }) => pids.includes(parent)).map(({ pid }) => pid);
    const seconds = (pids: readonly number[]): number =>
      tree
        .filter(({ pid }) => pids.includes(pid))
        .reduce((sum, { ticks }) => sum + ticks / TICKS_PER_SECOND, 0);
    const service = [this.child.pid ?? 0];
    const supervisors = childrenOf(service);
    const runners = childrenOf(supervisors);
    return {
      service: seconds(service),
      supervisors: seconds(supervisors),
      runners: seconds(runners),
      nats: seconds([this.nats.process.pid ?? 0]),
    };
  }

  async close(): Promise<void> {
    this.client.close();
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await exited;
    await this.connection.close();
    await this.nats.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

export const minus = (a: Cost, b: Cost): Cost => ({
  service: a.service - b.service,
  supervisors: a.supervisors - b.supervisors,
  runners: a.runners - b.runners,
  nats: a.nats - b.nats,
});

/** Every process with its parent and the processor time of it and of those of its children that it has seen end. */
function processes(): { readonly pid: number; readonly parent: number; readonly ticks: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8');
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
        const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
        return [{ pid: Number(name), parent: Number(fields[1]), ticks }];
      } catch {
        return [];
      }
    });
}
