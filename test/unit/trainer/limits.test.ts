/** Power limits of GPUs: set for an attempt, put back after it, refused where the box cannot. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nvmlLimiter, smiLimiter, type PowerLimiter } from '../../../services/trainer/power/limiter.js';
import { limitRequest, PowerLimits } from '../../../services/trainer/power/limits.js';
import { NvmlSource } from '../../../services/trainer/power/nvml-source.js';
import { Nvml } from '../../../services/trainer/power/nvml.js';
import { buildFakeNvml, type FakeNvml } from '../../support/fake-nvml.js';

const log = pino({ level: 'silent' });
let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'wattsweep-limits-'))));
afterEach(() => rm(root, { recursive: true, force: true }));

describe('a power limit', () => {
  let fake: FakeNvml;
  let limiter: PowerLimiter;
  let uuids: readonly string[];
  const ask = (attempt: string, watts: number, gpus: readonly number[] = [0], isShared = false) => ({
    attempt,
    devices: gpus.map((gpu) => uuids[gpu]!),
    watts,
    isShared,
  });
  /** A service that starts. */
  const service = () => new PowerLimits(join(root, 'power-limits.json'), limiter, log);
  const limits = () => [fake.limitWatts(0), fake.limitWatts(1)];

  beforeAll(async () => {
    fake = await buildFakeNvml();
    uuids = fake.gpus.map(({ uuid }) => uuid);
    process.env.NVML_LIBRARY_PATH = fake.libraryPath;
    const opened = await Nvml.open();
    Reflect.deleteProperty(process.env, 'NVML_LIBRARY_PATH');
    if (!('nvml' in opened)) throw new Error(opened.reason);
    limiter = nvmlLimiter(new NvmlSource(opened.nvml));
  });
  afterAll(() => fake.remove());
  afterEach(async () => {
    for (const gpu of [0, 1]) {
      await fake.set(gpu, { mayLimit: true, limit: true });
      await limiter.set(uuids[gpu]!, 300);
    }
  });

  it('is set on all GPUs of the attempt and put back to what each had', async () => {
    await limiter.set(uuids[1]!, 250);
    const box = service();
    await box.apply(ask('a', 150, [0, 1]));
    expect(limits()).toEqual([150, 150]);
    await box.restore('another');
    expect(limits()).toEqual([150, 150]);
    await box.restore('a');
    expect(limits()).toEqual([300, 250]);
  });

  it('that a killed service has left is put back by the next one, unless its attempt runs on', async () => {
    await service().apply(ask('ended meanwhile', 120, [0]));
    await service().apply(ask('runs on', 130, [1]));
    expect(await limiter.maySet(uuids[0]!)).toBeNull();
    expect(limits()).toEqual([120, 130]);
    const next = service();
    await next.restoreAllBut(new Set(['runs on']));
    expect(limits()).toEqual([300, 130]);
    await next.restore('runs on');
    expect(limits()).toEqual([300, 300]);
    expect(await readFile(join(root, 'power-limits.json'), 'utf8')).toContain('"limits":[]');
  });

  it('of before is remembered, not one that an attempt has set and nobody could put back', async () => {
    const box = service();
    await box.apply(ask('a', 120));
    await fake.set(0, { mayLimit: false });
    await box.restore('a');
    expect(fake.limitWatts(0)).toBe(120);
    await fake.set(0, { mayLimit: true });
    const next = service();
    await next.apply(ask('b', 200));
    await next.restore('b');
    expect(fake.limitWatts(0)).toBe(300);
  });

  it('is put back when the attempt ends while it is being set', async () => {
    const box = service();
    const applying = box.apply(ask('a', 150));
    await box.restore('a');
    await applying;
    expect(limits()).toEqual([300, 300]);
  });

  it('is put back though the disk is full, and the attempt ends', async () => {
    const box = service();
    await box.apply(ask('a', 150));
    await rm(root, { recursive: true });
    await box.restore('a');
    expect(limits()).toEqual([300, 300]);
  });

  it('that could not be set is forgotten: what somebody sets later stays', async () => {
    await fake.set(0, { mayLimit: false });
    await expect(service().apply(ask('a', 150))).rejects.toThrow('cannot be set');
    await fake.set(0, { mayLimit: true });
    await limiter.set(uuids[0]!, 250);
    await service().restoreAllBut(new Set());
    expect(limits()).toEqual([250, 300]);
  });

  it('of before the machine was started again is nothing to go back to', async () => {
    const file = { version: 1, bootId: 'another', limits: [{ device: uuids[0], watts: 111, attempt: 'a' }] };
    await writeFile(join(root, 'power-limits.json'), JSON.stringify(file));
    await service().restoreAllBut(new Set());
    expect(fake.limitWatts(0)).toBe(300);
  });

  it('is refused with its reason, and then nothing is changed', async () => {
    const box = service();
    const refusal = (code: string, words: string): unknown =>
      expect.objectContaining({ code, message: expect.stringContaining(words) as string });
    await expect(box.apply(ask('a', 99))).rejects.toEqual(
      refusal('PARAMETER_REFUSED', 'takes 100 to 400 W, not 99'),
    );
    await expect(box.apply(ask('a', 401))).rejects.toEqual(refusal('PARAMETER_REFUSED', 'not 401'));
    await expect(box.apply(ask('a', 150, [0], true))).rejects.toEqual(
      refusal('POWER_LIMIT_NOT_OFFERED', 'slots share the GPU'),
    );
    await expect(box.apply(ask('a', 150, []))).rejects.toEqual(refusal('POWER_LIMIT_NOT_OFFERED', 'no GPU'));
    await fake.set(1, { mayLimit: false });
    await expect(box.apply(ask('a', 150, [0, 1]))).rejects.toEqual(
      refusal('POWER_LIMIT_NOT_OFFERED', `the power limit of ${uuids[1]} cannot be set: no permission`),
    );
    expect(await limiter.maySet(uuids[1]!)).toBe('no permission');
    await fake.set(1, { limit: false });
    await expect(box.apply(ask('a', 150, [1]))).rejects.toEqual(
      refusal('POWER_LIMIT_NOT_OFFERED', 'cannot be read: not supported by this GPU'),
    );
    expect(limits()).toEqual([300, 300]);
    await expect(new PowerLimits(join(root, 'none.json'), null, log).apply(ask('a', 150))).rejects.toEqual(
      refusal('POWER_LIMIT_NOT_OFFERED', 'no GPU whose power limit can be set'),
    );
  });
});

it('is asked for by a parameter, which is a number of watts; a replay reads it itself', () => {
  const asked = (value: string | number | null, recipe = 'command') =>
    limitRequest('a', {
      metered: [{ id: 'GPU-1', share: 1 }],
      spec: { recipe, parameters: { gpu_power_limit_watts: value }, device: { uuids: ['GPU-1'] } },
    });
  expect(asked(150)).toEqual({ attempt: 'a', devices: ['GPU-1'], watts: 150, isShared: false });
  expect(asked(null)).toBeNull();
  expect(asked(150, 'replay')).toBeNull();
  for (const odd of ['150', -1, 0, NaN]) expect(() => asked(odd)).toThrow('is no number of watts');
});

it('nvidia-smi sets it where the library cannot be loaded', async () => {
  const program = join(root, 'nvidia-smi');
  await writeFile(
    program,
    `#!/bin/sh
case "$*" in
  "-i GPU-1 -pl 180") echo 180.00 > ${root}/limit;;
  *-pl*) echo 'Insufficient Permissions'; exit 4;;
  *query*) echo "$(cat ${root}/limit 2>/dev/null || echo 250.00), 100.00, 300.00";;
esac
`,
  );
  await chmod(program, 0o755);
  const limiter = smiLimiter(program);
  expect(await limiter.look('GPU-1')).toEqual({ watts: 250, least: 100, most: 300 });
  expect(await limiter.set('GPU-1', 180)).toBeNull();
  expect(await limiter.look('GPU-1')).toMatchObject({ watts: 180 });
  expect(await limiter.set('GPU-2', 180)).toBe('nvidia-smi: Insufficient Permissions');
  expect(await smiLimiter(join(root, 'absent')).look('GPU-1')).toHaveProperty('reason');
});
