/** A bad network between coordinator, trainer and NATS: slow, in pieces, reset, cut; nothing is lost or started twice. */
import { afterEach, expect, test } from 'vitest';
import { SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { startCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats } from '../../support/nats.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { Client, close, coordinatorOptions, startLeader, SWEEP, until } from './world.js';

const cleanups: (() => Promise<unknown>)[] = [];
const later = (cleanup: () => Promise<unknown>): void => void cleanups.push(cleanup);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test.each<[string, (commands: TcpProxy, facts: TcpProxy) => Promise<void>]>([
  [
    'both slow and in pieces of seven bytes',
    async (commands, facts) => {
      for (const proxy of [commands, facts]) proxy.poison({ latencyMs: 40, sliceBytes: 7 });
      await pause(1_000);
    },
  ],
  [
    'both reset again and again',
    async (commands, facts) => {
      for (let i = 0; i < 8; i += 1) {
        (i % 2 === 0 ? commands : facts).reset();
        await pause(150);
      }
    },
  ],
  [
    'commands swallowed, then the way to NATS cut',
    async (commands, facts) => {
      commands.blackhole();
      await pause(700);
      commands.mend();
      facts.cut();
      await pause(700);
      facts.mend();
    },
  ],
])('%s: every epoch is accepted once, every attempt started once', async (_what, harm) => {
  const nats = await startNats();
  later(() => nats.stop());
  const facts = await startTcpProxy({ port: nats.port });
  later(() => facts.close());
  const coordinator = await startLeader(nats.url, { lostAfterMs: 10_000 });
  later(() => coordinator.close());
  let commands: TcpProxy | null = null;
  const trainer = await FakeTrainer.start({
    natsUrl: `nats://127.0.0.1:${facts.port}`,
    trainerId: 'box',
    slots: 2,
    epochMs: 60,
    through: async (port) => {
      commands = await startTcpProxy({ port });
      return commands.port;
    },
  });
  later(() => trainer.vanish());
  later(() => commands?.close() ?? Promise.resolve());
  const client = new Client(coordinator.grpcAddress);
  later(() => close(client));
  const { sweepId } = await client.submit(SWEEP.replace('max_epochs: 3', 'max_epochs: 12'));
  await until(() => trainer.started.length >= 2);
  await harm(commands!, facts);
  await until(async () => (await client.sweep(sweepId)).sweep?.state === SweepState.COMPLETED, 45_000);
  const { trials } = await client.sweep(sweepId);
  expect(trials).toHaveLength(6);
  for (const trial of trials) expect(trial).toMatchObject({ epoch: 12, attempts: 1 });
  expect(new Set(trainer.started.map(({ key }) => key?.trialId)).size).toBe(6);
});

test('a coordinator that is told to end while it connects leaves no connection behind', async () => {
  const nats = await startNats();
  later(() => nats.stop());
  const way = await startTcpProxy({ port: nats.port });
  later(() => way.close());
  way.poison({ latencyMs: 80 });
  const ending = new AbortController();
  const starting = startCoordinator(
    coordinatorOptions(`nats://127.0.0.1:${way.port}`, { signal: ending.signal }),
  );
  await until(() => way.clients === 1);
  ending.abort();
  await starting.then(
    (running) => running.close(),
    () => undefined,
  );
  await until(() => way.clients === 0, 5_000);
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
