import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { credentials, loadPackageDefinition, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SweepState, type ReplaySweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { startCoordinator, type RunningCoordinator } from '../../../services/coordinator/index.js';
import { FakeTrainer } from '../../support/fake-trainer.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { Client, close, coordinatorOptions, failure, startLeader, SWEEP } from './world.js';

const TOKEN = 'a join token';
let nats: TestNats;
let coordinator: RunningCoordinator;
let client: Client;
let trainer: FakeTrainer;

beforeAll(async () => {
  nats = await startNats();
  coordinator = await startLeader(nats.url, { token: TOKEN });
  client = new Client(coordinator.grpcAddress, TOKEN);
  trainer = await FakeTrainer.start({ natsUrl: nats.url, trainerId: 'box', slots: 4 });
});
afterAll(async () => {
  await close(client);
  await trainer.vanish();
  await coordinator.close();
  await nats.stop();
});

describe('the join token', () => {
  test('is asked of every call but health checks', async () => {
    for (const token of [undefined, 'another token']) {
      const stranger = new Client(coordinator.grpcAddress, token);
      expect(await failure(stranger.sweep())).toBe('UNAUTHENTICATED');
      await expect(stranger.watch('')).rejects.toThrow(/join token/);
      await close(stranger);
    }
    expect(await health('wattsweep.v1.CoordinatorService')).toBe('SERVING');
    expect(await health('')).toBe('SERVING');
  });

  test('is needed to listen beyond loopback', async () => {
    const starting = startCoordinator(coordinatorOptions(nats.url, { listenHost: '0.0.0.0' }));
    await expect(starting).rejects.toMatchObject({ code: 'USAGE', message: /join token/ });
  });
});

interface HealthClient {
  check(
    request: { service: string },
    done: (error: ServiceError | null, response: { status: string }) => void,
  ): void;
  close(): void;
}

async function health(service: string): Promise<string> {
  const loaded = loadPackageDefinition(loadSync(protoPath, { enums: String })) as unknown as {
    grpc: { health: { v1: { Health: new (...args: unknown[]) => HealthClient } } };
  };
  const probe = new loaded.grpc.health.v1.Health(coordinator.grpcAddress, credentials.createInsecure());
  const { status } = await new Promise<{ status: string }>((resolve, reject) =>
    probe.check({ service }, (error, response) => (error === null ? resolve(response) : reject(error))),
  );
  probe.close();
  return status;
}

describe('a submission', () => {
  test('with a fault is refused with place, code and advice', async () => {
    const error = await client
      .submit(SWEEP.replace('max_epochs', 'max_epoch'))
      .catch((e: unknown) => e as ServiceError);
    const { metadata, details } = error as ServiceError;
    expect(metadata.get('wattsweep-code')).toEqual(['SPEC_UNKNOWN_KEY']);
    expect(metadata.get('wattsweep-advice')[0]).toMatch(/suggested/);
    expect(details).toMatch(/5:1/);
  });

  test('that is repeated gives the same sweep, also when both arrive at once', async () => {
    const [one, two] = await Promise.all([client.submit(SWEEP, 'r'), client.submit(SWEEP, 'r')]);
    const three = await client.submit(SWEEP, 'r');
    expect(new Set([one.sweepId, two.sweepId, three.sweepId]).size).toBe(1);
    expect(one.sweepId).toMatch(/^tiny-[a-z0-9]{4}$/);
    await client.watch(one.sweepId);
  });

  test('with a fault larger than a trailer can be is refused with its code', async () => {
    const faults = Array.from({ length: 150 }, (_, i) => `ключ_${'я'.repeat(900)}_${i}: 1\n`).join('');
    expect(await failure(client.submit(`${SWEEP}${faults}`))).toBe('SPEC_UNKNOWN_KEY');
  });

  test('of ten megabytes is refused, not dropped', async () => {
    expect(await failure(client.submit(`${SWEEP}# ${'x'.repeat(10_000_000)}`))).toBe('SPEC_TOO_LARGE');
  });
});

describe('questions', () => {
  test('about what is not there are answered so', async () => {
    expect(await failure(client.sweep('nobody'))).toBe('SWEEP_NOT_FOUND');
    const { sweepId } = await client.submit(SWEEP);
    const explain = client.call((api, metadata, done) =>
      api.explainTrial({ sweepId, trialId: 't9999' }, metadata, done),
    );
    expect(await failure(explain)).toBe('TRIAL_NOT_FOUND');
    await client.watch(sweepId);
  });

  test('about the newest sweep need no name; decisions carry their reasons; the report is JSON', async () => {
    const { sweepId } = await client.submit(`${SWEEP}stopping: { rule: asha, first_rung: 1, eta: 2 }\n`);
    await client.watch('');
    expect((await client.sweep()).sweep).toMatchObject({
      sweepId,
      state: SweepState.COMPLETED,
      trialsTotal: 6,
    });
    const explained = await client.call<{
      decisions: readonly { reason: string; rule: string }[];
      history: readonly string[];
    }>((api, metadata, done) => api.explainTrial({ sweepId, trialId: 't0001' }, metadata, done));
    expect(explained.decisions[0]?.rule).toBe('asha@2');
    expect(explained.decisions.every(({ reason }) => reason !== '')).toBe(true);
    expect(explained.history.join('\n')).toMatch(
      /created as point .*\n.*assigned to box\/cpu\d\n.*computes on fake CPU/,
    );
    const replayed = await client.call<ReplaySweepResponse>((api, metadata, done) =>
      api.replaySweep({ sweepId: '' }, metadata, done),
    );
    expect(replayed).toMatchObject({ sweepId, difference: undefined });
    expect(replayed.decisions).toBeGreaterThanOrEqual(explained.decisions.length);
    const { reportJson } = await client.call<{ reportJson: string }>((api, metadata, done) =>
      api.getReport({ sweepId }, metadata, done),
    );
    expect(JSON.parse(reportJson)).toMatchObject({ sweep: { sweepId } });
    const { sweeps } = await client.call<{ sweeps: readonly { sweepId: string }[] }>((api, metadata, done) =>
      api.listSweeps({ archived: false, tags: [] }, metadata, done),
    );
    expect(sweeps[0]?.sweepId).toBe(sweepId);
  });
});

test('a watch begins with everything, then sends what changed, at most five messages a second', async () => {
  const { sweepId } = await client.submit(SWEEP.replace('max_epochs: 3', 'max_epochs: 100'));
  const begin = performance.now();
  const messages = await client.watch(sweepId);
  const seconds = (performance.now() - begin) / 1_000;
  expect(messages[0]?.trainers.map(({ trainerId }) => trainerId)).toEqual(['box']);
  expect(messages.length).toBeGreaterThan(2);
  expect(messages.length).toBeLessThan(5 * seconds + 3);
  expect(messages.at(-1)?.sweep?.state).toBe(SweepState.COMPLETED);
  const last = new Map(messages.flatMap(({ trials }) => trials.map((trial) => [trial.trialId, trial.epoch])));
  expect([...last.values()]).toEqual([100, 100, 100, 100, 100, 100]);
});

test('a client that goes away ends its watch, and the coordinator closes in order', async () => {
  const watcher = new Client(coordinator.grpcAddress, TOKEN);
  const { sweepId } = await client.submit(SWEEP.replace('max_epochs: 3', 'max_epochs: 60'));
  const call = watcher.raw.watchSweep({ sweepId }, authorized());
  await new Promise((resolve) => call.once('data', resolve));
  call.on('error', () => undefined);
  call.cancel();
  await close(watcher);
  await client.watch(sweepId);
});

function authorized(): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${TOKEN}`);
  return metadata;
}

test('reflection lists the service', async () => {
  const definition = loadSync('grpc/reflection/v1/reflection.proto', {
    includeDirs: [new URL('../../../node_modules/@grpc/reflection/build/proto', import.meta.url).pathname],
  });
  const loaded = loadPackageDefinition(definition) as unknown as {
    grpc: { reflection: { v1: { ServerReflection: new (...args: unknown[]) => ReflectionClient } } };
  };
  const reflection = new loaded.grpc.reflection.v1.ServerReflection(
    coordinator.grpcAddress,
    credentials.createInsecure(),
  );
  const stream = reflection.serverReflectionInfo(authorized());
  const answer = new Promise<{ listServicesResponse: { service: { name: string }[] } }>((resolve) =>
    stream.once('data', resolve),
  );
  stream.write({ listServices: '' });
  const names = (await answer).listServicesResponse.service.map(({ name }) => name);
  expect(names).toContain('wattsweep.v1.CoordinatorService');
  stream.end();
  reflection.close();
});

interface ReflectionClient {
  serverReflectionInfo(metadata: Metadata): {
    once(
      event: 'data',
      listener: (data: { listServicesResponse: { service: { name: string }[] } }) => void,
    ): void;
    write(request: { listServices: string }): void;
    end(): void;
  };
  close(): void;
}

test('/metrics shows the sweeps of the leader', async () => {
  const response = await fetch(`http://${coordinator.httpAddress}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(await response.text()).toMatch(/^wattsweep_sweeps\{.*state="completed".*\} [1-9]/m);
  expect((await fetch(`http://${coordinator.httpAddress}/nothing`)).status).toBe(404);
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);
test.runIf(hasIpv6)('an IPv6 address is told in brackets', async () => {
  const six = await startCoordinator(
    coordinatorOptions(nats.url, { listenHost: '::1', coordinatorId: 'six' }),
  );
  expect(six.httpAddress).toMatch(/^\[::1\]:\d+$/);
  expect(six.grpcAddress).toMatch(/^\[::1\]:\d+$/);
  expect((await fetch(`http://${six.httpAddress}/healthz`)).status).toBe(200);
  await six.close();
});

test.each(['grpcPort', 'httpPort'] as const)('%s in use is PORT_IN_USE', async (which) => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  const starting = startCoordinator(coordinatorOptions(nats.url, { [which]: port }));
  await expect(starting).rejects.toMatchObject({ code: 'PORT_IN_USE', message: new RegExp(String(port)) });
  await new Promise((resolve) => holder.close(resolve));
});
