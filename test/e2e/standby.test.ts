/** Two coordinators as processes on one NATS: killed, stopped, and of two versions. */
import { Metadata, credentials, type ServiceError } from '@grpc/grpc-js';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { errorRegistry } from '../../proto/errors.js';
import { CoordinatorServiceClient } from '../../proto/gen/wattsweep/v1/coordinator.js';
import { attached } from '../../proto/grpc.js';
import type { LedgerEvent, State } from '../../services/coordinator/core/index.js';
import { freePorts } from '../chaos/stack.js';
import { readLedgerAt } from '../chaos/run.js';
import { FakeTrainer } from '../support/fake-trainer.js';
import { startNats, type TestNats } from '../support/nats.js';
import { type Running, Sandbox, kill, root, until } from './support.js';

const LEASE_TTL_MS = 2_000;

let box: Sandbox;
let nats: TestNats;
let trainer: FakeTrainer | null = null;
let ports: number[];
beforeEach(async () => {
  box = new Sandbox();
  nats = await startNats();
  ports = await freePorts(4);
});
afterEach(async () => {
  await trainer?.vanish();
  trainer = null;
  await box.close();
  await nats.stop();
});

interface Process {
  readonly running: Running;
  readonly grpc: string;
  /** Null while it does not answer. */
  readonly look: () => Promise<{ role: string; term: number } | null>;
}

function coordinator(
  id: string,
  i: number,
  start = (args: readonly string[]) => box.wattsweep(args),
): Process {
  const [grpc, http] = [ports[2 * i]!, ports[2 * i + 1]!];
  const at = ['--grpc-port', String(grpc), '--http-port', String(http), '--id', id];
  const times = ['--lease-ttl', `${LEASE_TTL_MS}ms`, '--trainer-ttl', '1s', '--lost-after', '5s'];
  return {
    running: start(['coordinator', '--nats', nats.url, ...at, ...times]),
    grpc: `127.0.0.1:${grpc}`,
    look: async () => {
      try {
        const response = await fetch(`http://127.0.0.1:${http}/readyz`, { signal: AbortSignal.timeout(500) });
        return (await response.json()) as { role: string; term: number };
      } catch {
        return null;
      }
    },
  };
}

const leads = async (one: Process): Promise<boolean> => (await one.look())?.role === 'leading';

/** Milliseconds until it leads. */
async function tookOver(one: Process, since: number): Promise<number> {
  await until('the other one leads', () => leads(one), { words: () => one.running.words });
  return performance.now() - since;
}

/** What this coordinator itself answers: nothing is followed. */
function submitTo(one: Process, yaml: string): Promise<ServiceError | null> {
  const client = new CoordinatorServiceClient(one.grpc, credentials.createInsecure());
  return new Promise((resolve) => {
    const deadline = { deadline: Date.now() + 30_000 };
    client.submitSweep(
      { yaml, overrides: [], requestId: '', tags: [], smoke: false, code: undefined },
      new Metadata(),
      deadline,
      (error) => {
        client.close();
        resolve(error);
      },
    );
  });
}

const yaml = (name: string): string =>
  [
    `name: ${name}`,
    'recipe: resnet-cifar10',
    'objective: { metric: val_accuracy, goal: maximize }',
    'max_epochs: 40',
    'sweep: { batch_size: [32, 64, 128], lr_peak: [0.1, 0.2] }',
  ].join('\n');

const termsOf = (events: readonly LedgerEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'term_started' ? [event.coordinatorId] : []));

function expectWhole(state: State, sweepId: string): void {
  const sweep = state.sweeps.get(sweepId);
  expect(sweep?.status).toBe('completed');
  for (const { state: end, epochs, attempts } of sweep?.trials.values() ?? [])
    expect([end, epochs.length, attempts.length]).toEqual(['succeeded', 40, 1]);
}

it('a leader and one that stands by take over from each other when stopped and when killed; who wakes up deposed changes nothing', async () => {
  const one = coordinator('one', 0);
  await until('the first one leads', () => leads(one), { words: () => one.running.words });
  const two = coordinator('two', 1);
  await until('the second one follows', async () => (await two.look())?.role === 'following', {
    words: () => two.running.words,
  });
  trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, epochMs: 60 });

  const refusal = await submitTo(two, yaml('refused'));
  expect(refusal === null ? null : attached(refusal)).toMatchObject({
    code: 'NOT_LEADER',
    leaderAddress: one.grpc,
  });
  expect(refusal?.details).toBe(`one at ${one.grpc} leads`);
  mkdirSync(box.data, { recursive: true });
  const file = join(box.data, 'sweep.yaml');
  writeFileSync(file, yaml('followed'));
  const submit = await box.wattsweep(['submit', file, '--server', two.grpc]).exit;
  expect(submit.exitCode, submit.stderr).toBe(0);
  const sweepId = submit.stdout.trim();
  await until('it trains', () => trainer!.started.length >= 2);

  one.running.child.kill('SIGSTOP');
  const stoppedAt = performance.now();
  // Waits in the socket of the stopped one, which takes itself for the leader when it reads it.
  const late = submitTo(one, yaml('late'));
  expect(await tookOver(two, stoppedAt)).toBeLessThan(2 * LEASE_TTL_MS);
  one.running.child.kill('SIGCONT');
  const answer = await late;
  expect(['DEPOSED', 'NOT_LEADER']).toContain(answer === null ? 'accepted' : attached(answer)?.code);
  await until('the deposed one follows', async () => (await one.look())?.role === 'following');

  kill(two.running.child.pid ?? 0);
  expect(await tookOver(one, performance.now())).toBeLessThan(2 * LEASE_TTL_MS);
  const both = ['--server', `${two.grpc},${one.grpc}`];
  const watch = await box.wattsweep(['watch', sweepId, ...both]).exit;
  expect(watch.exitCode, watch.stderr).toBe(0);
  expect(one.running.child.exitCode).toBeNull();

  const { events, state } = await readLedgerAt(nats.url);
  expect(termsOf(events)).toEqual(['one', 'two', 'one']);
  expect([...state.sweeps.values()].map(({ spec }) => spec.name)).toEqual(['followed']);
  expectWhole(state, sweepId);
  expect(trainer.started).toHaveLength(6);
});

/** This very program, except that it writes entries of the next version: all of it in one file beside node_modules. */
async function newerProgram(): Promise<string> {
  const outfile = join(root, 'node_modules/.cache/wattsweep-test', `newer-${process.pid}.mjs`);
  await build({
    entryPoints: [join(root, 'cli/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
    plugins: [
      {
        name: 'next version of the ledger',
        setup: (builder) => {
          builder.onLoad({ filter: /ledger\/codec\.ts$/ }, ({ path }) => ({
            contents: readFileSync(path, 'utf8')
              .replace(/^const VERSION = (\d+);$/m, (_line, number) => {
                const version = Number(number);
                return `const VERSION = ${version + 1}; const NEXT = { ${version}: (e) => ({ ...e, v: ${version + 1} }) };`;
              })
              .replace('upcasters[current.v]', '(upcasters[current.v] ?? NEXT[current.v])'),
            loader: 'ts',
          }));
        },
      },
    ],
  });
  return outfile;
}

it('an older version leads no ledger that a newer one has written to: it says so, and stands aside', async () => {
  const newer = await newerProgram();
  const startNewer = (args: readonly string[]) => box.node(newer, args);
  const old = coordinator('old', 0);
  await until('the older one leads', () => leads(old), { words: () => old.running.words });
  trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 2, epochMs: 60 });
  expect(await submitTo(old, yaml('upgraded'))).toBeNull();
  await until('it trains', () => trainer!.started.length >= 2);

  // The newer one takes over while the older one is away, which finds that out when it comes back.
  old.running.child.kill('SIGSTOP');
  const first = coordinator('new', 1, startNewer);
  await until('the newer one leads', () => leads(first), { words: () => first.running.words });
  const late = submitTo(old, yaml('late'));
  old.running.child.kill('SIGCONT');
  expect(await late).not.toBeNull();

  kill(first.running.child.pid ?? 0);
  const { exitCode, stderr } = await old.running.exit;
  expect(exitCode, stderr).toBe(errorRegistry.LEDGER_VERSION.exit);
  expect(stderr).toMatch(/error\[LEDGER_VERSION\]: .*which a newer program wrote/);
  const again = await coordinator('old', 0).running.exit;
  expect(again.exitCode, again.stderr).toBe(errorRegistry.LEDGER_VERSION.exit);

  const second = coordinator('new', 1, startNewer);
  await until('the newer one leads again', () => leads(second), { words: () => second.running.words });
  await until('the sweep has ended', async () => {
    const status = await box.wattsweep(['status', '--server', second.grpc, '--json']).exit;
    return status.stdout.includes('"completed"');
  });
  expect(trainer.started).toHaveLength(6);
});
