import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { paretoFront } from '../../../services/coordinator/report/analysis/pareto.js';
import type { AttemptSpec, Parameters, RunnerLine } from '../../../services/trainer/protocol/runner.js';
import type { StopRequest } from '../../../services/trainer/runner/recipes/recipe.js';
import { runReplay } from '../../../services/trainer/runner/recipes/replay/replay.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'wattsweep-replay-'))));
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

type Line = Exclude<RunnerLine, { type: 'end' }>;
type Epoch = Extract<Line, { type: 'epoch' }>;

async function run(
  parameters: Parameters,
  more: Partial<AttemptSpec> = {},
  stopAfterEpoch: { readonly epoch: number; readonly as: StopRequest } | null = null,
) {
  const lines: Line[] = [];
  let requested: StopRequest | null = null;
  let tell: (request: StopRequest) => void = () => undefined;
  const attempt: AttemptSpec = {
    key: { sweepId: 's', trialId: 't', attempt: 1 },
    recipe: 'replay',
    command: [],
    parameters: { speed: 1e9, ...parameters },
    maxEpochs: 600,
    seed: 1,
    repeat: 1,
    objective: 'target_reached',
    device: { kind: 'cpu', uuids: [], model: 'a laptop', threads: 1 },
    workDir: folder,
    checkpointDir: folder,
    resumeFrom: null,
    ...more,
  };
  const end = await runReplay(attempt, {
    environment: {},
    spoil: () => undefined,
    report: (...told) => {
      lines.push(...told);
      const hasCome = told.some((line) => line.type === 'epoch' && line.epoch === stopAfterEpoch?.epoch);
      if (stopAfterEpoch === null || !hasCome) return;
      requested = stopAfterEpoch.as;
      tell(requested);
    },
    stopRequested: () => requested,
    stopped: new Promise((resolve) => (tell = resolve)),
    breathe: async () => {
      await setImmediate();
    },
  });
  return { end, lines, epochs: lines.filter((line): line is Epoch => line.type === 'epoch') };
}

describe('the trace', () => {
  it.each([
    ['summary_train.csv', '076b35615349ee624403006e5ad67fd9ebda92af690c7750f8bb0c2ab92c0cf4'],
    ['summary_power_v100.csv', 'f0b066dd1a451bd78f730e001ac3a7c411979bc7f0846f12c1a9fb604aa90628'],
    ['LICENSE', 'c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4'],
  ])('is as published: %s', (name, sha256) => {
    const data = new URL('../../../services/trainer/runner/recipes/replay/data/', import.meta.url);
    const content = readFileSync(new URL(name, data));
    expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    if (name.endsWith('.csv')) expect(readFileSync(new URL('NOTICE', data), 'utf8')).toContain(sha256);
  });

  it('gives its own Pareto front: 6 of 63 settings of cifar100 to 0.6, mean of the runs', async () => {
    const settings: { readonly name: string; readonly costs: readonly [number, number] }[] = [];
    for (const batch_size of [8, 16, 32, 64, 128, 256, 512, 1024, 2048]) {
      for (const gpu_power_limit_watts of [100, 125, 150, 175, 200, 225, 250]) {
        const costs: [number, number] = [0, 0];
        for (let repeat = 1; repeat <= 5; repeat++) {
          const { epochs } = await run({ batch_size, gpu_power_limit_watts }, { repeat });
          for (const { trainSeconds, trainJoules } of epochs) {
            costs[0] += (trainSeconds ?? NaN) / 5;
            costs[1] += (trainJoules ?? NaN) / 5;
          }
        }
        settings.push({ name: `${batch_size} at ${gpu_power_limit_watts} W`, costs });
      }
    }
    const front = paretoFront(settings.map(({ costs }) => costs)).map((index) => settings[index]!);
    expect(settings).toHaveLength(63);
    expect(front.map(({ name }) => name).toSorted()).toEqual([
      '128 at 100 W',
      '128 at 125 W',
      '128 at 150 W',
      '256 at 175 W',
      '256 at 200 W',
      '256 at 225 W',
    ]);
    const of = (name: string) => front.find((setting) => setting.name === name)?.costs.map(Math.round);
    expect(of('256 at 225 W')).toEqual([311, 51_936]);
    expect(of('128 at 100 W')).toEqual([339, 28_478]);
  });
});

describe('a replayed run', () => {
  it('reports 0 before the recorded epoch and 1 in it, the published seconds and joules, and ends', async () => {
    const { end, lines, epochs } = await run({ batch_size: 128, gpu_power_limit_watts: 100 });
    expect(end.class).toBe('completed');
    expect(lines[0]).toMatchObject({
      type: 'started',
      device: { kind: 'gpu', name: 'Tesla V100 (replayed)' },
      resumedEpoch: 0,
    });
    expect(epochs.map(({ metrics }) => metrics['target_reached'])).toEqual([...Array<number>(17).fill(0), 1]);
    for (const { trainSeconds, trainJoules, evaluationSeconds } of epochs) {
      expect(trainSeconds).toBeCloseTo(17.3067, 4);
      expect((trainJoules ?? NaN) / (trainSeconds ?? NaN)).toBeCloseTo(83.953, 3);
      expect(evaluationSeconds).toBeNull();
    }
  });

  it('follows the repeat from run to run, anew after the last, unless one is named', async () => {
    const runOf = async (parameters: Parameters, repeat: number) =>
      (await run({ target_level: 0.05, ...parameters }, { repeat })).epochs[0]?.metrics['recorded_run'];
    expect(await runOf({ batch_size: 128 }, 1)).toBe(1);
    expect(await runOf({ batch_size: 128 }, 5)).toBe(5);
    expect(await runOf({ batch_size: 128 }, 6)).toBe(1);
    expect(await runOf({ batch_size: 1024 }, 10)).toBe(10);
    expect(await runOf({ batch_size: 128, run: 3 }, 1)).toBe(3);
  });

  it('that never met its target runs to the last epoch without', async () => {
    const { end, epochs } = await run({ batch_size: 4096, run: 4 }, { maxEpochs: 40 });
    expect(end.class).toBe('completed');
    expect(epochs).toHaveLength(40);
    expect(epochs.every(({ metrics }) => metrics['target_reached'] === 0)).toBe(true);
  });

  it('keeps the recorded pace, so many times faster', async () => {
    const begun = performance.now();
    const { epochs } = await run({ batch_size: 128, speed: 1000 });
    const expected = epochs.reduce((sum, { trainSeconds }) => sum + (trainSeconds ?? NaN), 0);
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(expected * 0.99);
    expect(took).toBeLessThan(expected + 2_000);
  });

  it('stops when asked, leaves a checkpoint, and goes on behind it', async () => {
    const stop = { epoch: 5, as: 'pause' as const };
    // Each epoch lies ahead, however slow the machine is: a replay that is late catches up with several at once.
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const { end, lines, epochs } = await run({ batch_size: 128, speed: 2_000 }, {}, stop);
    vi.restoreAllMocks();
    expect(end.class).toBe('stopped');
    expect(epochs).toHaveLength(5);
    const checkpoint = lines.at(-1);
    if (checkpoint?.type !== 'checkpoint') throw new Error('no checkpoint');
    expect(checkpoint.epoch).toBe(5);
    const resumed = await run({ batch_size: 128 }, { resumeFrom: checkpoint.path });
    expect(resumed.lines[0]).toMatchObject({ type: 'started', resumedEpoch: 5 });
    expect(resumed.epochs.map(({ epoch }) => epoch)).toEqual([
      6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
    ]);
  });

  it('is stopped at once, however long its epochs are', async () => {
    const begun = performance.now();
    const context = { epoch: 1, as: 'cancel' as const };
    const { end, lines } = await run({ batch_size: 128, speed: 20 }, {}, context);
    expect(end.class).toBe('stopped');
    expect(lines.at(-1)?.type).toBe('epoch');
    expect(performance.now() - begun).toBeLessThan(17.3 * 50 + 500);
  });
});

describe('what is not in the trace', () => {
  it.each([
    [
      { batch_size: 100 },
      /^batch_size: 100 is not in the trace with dataset cifar100, network shufflenetv2; it has 8, 16, 32, .*4096$/,
    ],
    [
      { gpu_power_limit_watts: 110 },
      /^gpu_power_limit_watts: 110 is not in the trace .*batch_size 128, optimizer adadelta; it has 100, 125, 150, 175, 200, 225, 250$/,
    ],
    [{ optimizer: 'adam' }, /^optimizer: adam is not in the trace .*; it has adadelta$/],
    [{ lr_peak: 0.2 }, /^lr_peak: 0.2 is not .*; it has 0.1$/],
    [{ target_level: 0.62 }, /^target_level: 0.62 is not .*0.55, 0.6, 0.65/],
    [
      { network: 'resnet50' },
      /^network: resnet50 is not in the trace with dataset cifar100; it has shufflenetv2$/,
    ],
    [
      { dataset: 'imagenet', batch_size: 512 },
      /^batch_size: 512 is not in the trace .*; it has 8, 16, 32, 64, 128, 192, 256, 360$/,
    ],
    [{ run: 11 }, /^run: 11 is not in the trace; it has 1, 2, 3, 4, 5$/],
    [{ dataset: 'cifar10' }, /^dataset: "cifar10" is none of .*did you mean 'cifar100'/],
    [{ power_limit: 100 }, /^power_limit: recipe replay has no such parameter/],
  ])('is refused, with what is: %j', async (parameters, sentence) => {
    await expect(run(parameters)).rejects.toMatchObject({
      code: 'PARAMETER_REFUSED',
      message: expect.stringMatching(sentence) as string,
    });
  });
});
