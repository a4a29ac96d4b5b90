/** A box with scripted GPUs: slots that share one, power limits over a kill of the service, memory that is not freed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { AttemptEnded } from '../../../proto/gen/wattsweep/v1/facts.js';
import { AttemptPhase, StopMode } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { buildFakeNvml, type FakeNvml } from '../../support/fake-nvml.js';
import { startNats, type TestNats } from '../../support/nats.js';
import {
  connectNats,
  createStreams,
  fakeRunner,
  publishedReports,
  publishedTelemetry,
  startServiceProcess,
  terminate,
  trainerClient,
  trainerPrograms,
  type ServiceProcess,
} from '../../support/trainer.js';

const WAIT = { timeout: 30_000, interval: 30 };

let nats: TestNats;
let connection: NatsConnection;
let fake: FakeNvml;
let dataDir: string;
let service: ServiceProcess;
let client: ReturnType<typeof trainerClient>;
let number = 0;

const start = async (options: object = {}): Promise<void> => {
  const { supervisor } = await trainerPrograms();
  service = await startServiceProcess(
    {
      natsUrl: nats.url,
      trainerId: `box-${String(number)}`,
      dataDir,
      trainerTtlMs: 2_000,
      lostAfterMs: 60_000,
      stopGraceMs: 1_000,
      meterPeriodMs: 20,
      logLevel: 'info',
      runnerCommand: fakeRunner,
      supervisorCommand: [process.execPath, supervisor],
      ...options,
    },
    fake.env,
  );
  client = trainerClient(service.grpcAddress);
};
const endOf = async (trialId: string): Promise<AttemptEnded> => {
  const find = async () =>
    (await publishedReports(connection)).flatMap(({ fact }) =>
      fact?.$case === 'ended' && fact.value.key?.trialId === trialId ? [fact.value] : [],
    )[0];
  await expect.poll(find, WAIT).toBeDefined();
  return (await find())!;
};
const runs = (trialId: string) =>
  expect
    .poll(async () => {
      const listed = await client.list();
      if (!('ok' in listed)) throw new Error(listed.message);
      return listed.ok.attempts.find(({ key }) => key?.trialId === trialId)?.phase;
    }, WAIT)
    .toBe(AttemptPhase.RUNNING);

beforeAll(async () => {
  nats = await startNats();
  connection = await connectNats(nats.url);
  await createStreams(connection, 2_000);
  fake = await buildFakeNvml({ gpus: 1, watts: [200] });
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
  await fake.remove();
});
beforeEach(async () => {
  number += 1;
  dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-gpu-box-'));
});
afterEach(async () => {
  client.close();
  await terminate(service.child);
  await rm(dataDir, { recursive: true, force: true });
});

it('attempts that share a GPU are booked what it drew once, each with its mark', async () => {
  await start({ slotsPerDevice: 2 });
  const described = await client.describe();
  expect('ok' in described && described.ok.record?.slots).toMatchObject([
    { slotId: 'gpu0-0', sharedBy: 2, memoryBytes: 8 * 2 ** 30, freeMemoryBytes: 7 * 2 ** 30 },
    { slotId: 'gpu0-1', sharedBy: 2, deviceUuids: [fake.gpus[0]!.uuid] },
  ]);
  const before = fake.joules(0);
  await client.start('a', { epochs: 1_000 }, { slotId: 'gpu0-0' });
  await runs('a');
  await client.start('b', { epochs: 1_000 }, { slotId: 'gpu0-1' });
  await runs('b');
  const limited = { epochs: 1, gpu_power_limit_watts: 150 };
  const stop = async (trialId: string): Promise<AttemptEnded> => {
    await client.stop(trialId, StopMode.STOP);
    return endOf(trialId);
  };
  const [a, b] = [await stop('a'), await stop('b')];
  await client.start('limited', limited, { slotId: 'gpu0-0' });
  expect(await endOf('limited')).toMatchObject({
    class: AttemptEndClass.REFUSED,
    code: 'POWER_LIMIT_NOT_OFFERED',
    message: expect.stringContaining('slots share the GPU') as string,
  });
  const drawn = fake.joules(0) - before;
  for (const { energy } of [a, b]) {
    expect(energy).toMatchObject({ method: 'nvml-counter', absentReason: '' });
    expect(energy!.share).toBeGreaterThan(0.49);
    expect(energy!.share).toBeLessThan(1);
  }
  const booked = a.energy!.joules! + b.energy!.joules!;
  expect(booked).toBeGreaterThan(0);
  expect(booked).toBeLessThanOrEqual(drawn * 1.001);
  // Alone each would have been booked all that was drawn while it ran.
  expect(booked).toBeLessThan(200 * (a.seconds! + b.seconds!) * 0.999);
});

it('a power limit holds for its attempt alone, also over kills of the service', async () => {
  await start();
  const limited = { epochs: 1_000, gpu_power_limit_watts: 150 };
  await client.start('low', limited, { slotId: 'gpu0' });
  await runs('low');
  expect(fake.limitWatts(0)).toBe(150);
  await expect
    .poll(async () => (await publishedTelemetry(connection)).at(-1)?.devices[0]?.powerLimitWatts, WAIT)
    .toBe(150);
  await service.kill();
  client.close();
  await start();
  // Adopted: it goes on as it was.
  await runs('low');
  expect(fake.limitWatts(0)).toBe(150);
  await client.stop('low', StopMode.STOP);
  await endOf('low');
  expect(fake.limitWatts(0)).toBe(300);

  await client.start('away', { ...limited, epochs: 3, epochMs: 300 }, { slotId: 'gpu0' });
  await runs('away');
  await service.kill();
  client.close();
  expect(fake.limitWatts(0)).toBe(150);
  await start();
  await endOf('away');
  await expect.poll(() => fake.limitWatts(0), WAIT).toBe(300);

  await client.start('high', { epochs: 1, gpu_power_limit_watts: 900 }, { slotId: 'gpu0' });
  expect(await endOf('high')).toMatchObject({
    class: AttemptEndClass.REFUSED,
    code: 'PARAMETER_REFUSED',
    message: expect.stringContaining('takes 100 to 400 W') as string,
  });
});

it('a slot is busy while the memory of its GPU is not free again', async () => {
  await start();
  await client.start('leaks', { epochs: 1_000 }, { slotId: 'gpu0' });
  await runs('leaks');
  await fake.set(0, { memoryUsedBytes: 12 * 2 ** 30 });
  await client.stop('leaks', StopMode.STOP);
  await endOf('leaks');
  expect(await client.start('next', { epochs: 1 }, { slotId: 'gpu0' })).toMatchObject({
    code: 'SLOT_BUSY',
    message: expect.stringContaining('more memory in use') as string,
  });
  await fake.set(0, { memoryUsedBytes: 2 * 2 ** 30 });
  expect(await client.start('next', { epochs: 1 }, { slotId: 'gpu0' })).toEqual({ ok: { created: true } });
  expect((await endOf('next')).class).toBe(AttemptEndClass.COMPLETED);
});
