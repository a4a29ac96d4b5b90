/**
 * `npm run bench -- trainer [--trials 400] [--reports 3000] [--cycles 200] [--json]`: what the trainer adds to a trial.
 * Start of an attempt, cold and warm; trials of one report; reports as fast as they come; metering; the spool; programs
 * started and stopped. All through a real service, supervisors, runners and NATS, without a coordinator.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { StartAttemptRequest } from '../../proto/gen/wattsweep/v1/trainer.js';
import { StopMode } from '../../proto/gen/wattsweep/v1/trainer.js';
import { PowerMeter } from '../../services/trainer/power/meter.js';
import { inspectBox } from '../../services/trainer/service/box.js';
import { SpoolWriter } from '../../services/trainer/supervisor/spool-writer.js';
import { buildFakeNvml } from '../support/fake-nvml.js';
import { Box, minus, type Cost } from './trainer/box.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    trials: { type: 'string', default: '400' },
    reports: { type: 'string', default: '3000' },
    cycles: { type: 'string', default: '200' },
    only: { type: 'string', default: 'starts,trials,reports,meter,spool,cycles' },
  },
});
const only = new Set(values.only.split(','));
const SLOTS = 16;
const slots = ['--cpu-slots', String(SLOTS), '--threads', '1'];
/** One report, at once. */
const replay = (epochs: number): Partial<StartAttemptRequest> => ({ recipe: 'replay', maxEpochs: epochs });
const AT_ONCE = { speed: 1e9 };
/** The interpreter itself: a version manager's `python3` is a script that takes longer than Python. */
const interpreter = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
  encoding: 'utf8',
}).trim();
const python: Partial<StartAttemptRequest> = {
  recipe: 'command',
  command: [interpreter, '-c', 'print("{{\\"epoch\\": 1, \\"loss\\": 1}}")'],
};
const tiny = { depth: 11, train_images: 64, validation_images: 100, batch_size: 32 };
const training: Partial<StartAttemptRequest> = { recipe: 'resnet-cifar10', maxEpochs: 1 };

/** The same program without a trainer, one after another. */
function measurePython(count: number): { readonly ms: number } {
  const times: number[] = [];
  const source = (python.command?.[2] ?? '').replaceAll('{{', '{').replaceAll('}}', '}');
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    spawnSync(interpreter, ['-c', source]);
    times.push(performance.now() - begin);
  }
  return { ms: median(times) };
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

/** First and later attempts of one slot: milliseconds from StartAttempt to the first epoch and to the end. */
async function measureStarts() {
  const box = await Box.open(['--cpu-slots', '1', '--threads', '2', '--allow-command', interpreter]);
  const results: Record<string, { cold: number; warm: number; warmEnd: number }> = {};
  for (const [name, parameters, request, warmRuns] of [
    ['replay', AT_ONCE, replay(1), 100],
    ['command, python3', {}, python, 40],
    ['resnet-cifar10, depth 11, 2 steps', tiny, training, 5],
  ] as const) {
    const id = name.slice(0, 3);
    const cold = await box.run(`${id}-cold`, parameters, request);
    const warm = [];
    for (let i = 0; i < warmRuns; i++) warm.push(await box.run(`${id}-${String(i)}`, parameters, request));
    results[name] = {
      cold: cold.firstEpoch,
      warm: median(warm.map(({ firstEpoch }) => firstEpoch)),
      warmEnd: median(warm.map(({ ended }) => ended)),
    };
  }
  await box.close();
  return { ...results, 'python3 alone': measurePython(40) };
}

/** 16 slots, each with one trial after another. */
async function measureTrials(count: number, parameters: object, request: Partial<StartAttemptRequest>) {
  const box = await Box.open([...slots, '--allow-command', interpreter]);
  const slotIds = Array.from({ length: SLOTS }, (_unused, index) => `cpu${String(index)}`);
  await Promise.all(slotIds.map((slotId) => box.run(`first-${slotId}`, parameters, { ...request, slotId })));
  const before = box.cost();
  const begin = performance.now();
  let next = 0;
  await Promise.all(
    slotIds.map(async (slotId) => {
      for (let trial = next++; trial < count; trial = next++)
        await box.run(`t${String(trial)}`, parameters, { ...request, slotId });
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  const cost = minus(box.cost(), before);
  await box.close();
  return { trials: count, msPerTrial: (seconds * 1000) / count, cpuMsPerTrial: perUnit(cost, count) };
}

/** 16 trials that report as fast as they can. */
async function measureReports(each: number) {
  const box = await Box.open(slots);
  const slotIds = Array.from({ length: SLOTS }, (_unused, index) => `cpu${String(index)}`);
  // A recorded run that never meets its level.
  const parameters = { ...AT_ONCE, target_level: 0.95 };
  await Promise.all(slotIds.map((slotId) => box.run(`first-${slotId}`, AT_ONCE, { ...replay(1), slotId })));
  const before = box.cost();
  const reportsBefore = box.reports;
  const begin = performance.now();
  await Promise.all(slotIds.map((slotId) => box.run(`t-${slotId}`, parameters, { ...replay(each), slotId })));
  const seconds = (performance.now() - begin) / 1000;
  const reports = box.reports - reportsBefore;
  const cost = minus(box.cost(), before);
  await box.close();
  return { reports, reportsPerSecond: reports / seconds, cpuMsPerThousand: perUnit(cost, reports / 1000) };
}

const perUnit = (cost: Cost, units: number): Cost => ({
  service: (cost.service * 1000) / units,
  supervisors: (cost.supervisors * 1000) / units,
  runners: (cost.runners * 1000) / units,
  nats: (cost.nats * 1000) / units,
});

/**
 * Processor time of one look of the meter at 2 GPUs (a stand-in for the driver's library: what our side of the calls costs,
 * not the driver's), and the part of one core that a whole idle service with 16 slots takes.
 */
async function measureMeter(seconds: number) {
  const fake = await buildFakeNvml({ watts: [100, 250] });
  Object.assign(process.env, fake.env);
  const { sources } = await inspectBox({ slots: 'auto', threadsPerSlot: null });
  const meter = new PowerMeter({ sources, noSourceReason: '', estimateWatts: null, periodMs: 2 ** 30 });
  const samples = 2_000;
  const before = process.cpuUsage();
  for (let i = 0; i < samples; i++) meter.sample();
  const { user, system } = process.cpuUsage(before);
  const devices = meter.now().map(({ device, method }) => `${device} ${method || 'unread'}`);
  meter.close();
  await fake.remove();
  for (const name of Object.keys(fake.env)) Reflect.deleteProperty(process.env, name);
  const box = await Box.open(slots);
  await sleep(2_000);
  const idleBefore = box.cost();
  await sleep(seconds * 1000);
  const idle = minus(box.cost(), idleBefore);
  await box.close();
  const microseconds = (user + system) / samples;
  return {
    devices,
    microseconds,
    percentAt5Hz: (microseconds * 5) / 1e4,
    idlePercent: (idle.service * 100) / seconds,
  };
}

function measureSpool() {
  const folder = mkdtempSync(join(tmpdir(), 'wattsweep-spool-'));
  const path = join(folder, 'spool.jsonl');
  const line = JSON.stringify({
    type: 'epoch',
    epoch: 1,
    step: 10,
    metrics: { val_accuracy: 0.5, loss: 1.25 },
  });
  const result: Record<string, number> = {};
  for (const together of [1, 100]) {
    const spool = new SpoolWriter(path);
    const lines = Array.from({ length: together }, () => line);
    const begin = performance.now();
    for (let i = 0; i < 200_000 / together; i++) spool.append(lines);
    result[`linesPerSecond, ${String(together)} a write`] = 200_000 / ((performance.now() - begin) / 1000);
    void spool.close(false);
  }
  const bytes = statSync(path).size;
  rmSync(folder, { recursive: true });
  return { ...result, bytes };
}

/** Programs that are started and asked to stop, one after another. */
async function measureCycles(count: number) {
  const box = await Box.open(['--cpu-slots', '1', '--allow-command', 'sh']);
  const request: Partial<StartAttemptRequest> = {
    recipe: 'command',
    command: ['sh', '-c', 'trap \'exit 0\' TERM; echo \'{{"epoch":1,"loss":1}}\'; sleep 60 & wait'],
  };
  const times: number[] = [];
  for (let cycle = 0; cycle < count; cycle++) {
    const trialId = `c${String(cycle)}`;
    const spoken = box.heard(trialId, 'epoch');
    const over = box.run(trialId, {}, request);
    await spoken;
    const begin = performance.now();
    await box.client.stop(trialId, StopMode.STOP);
    await over;
    times.push(performance.now() - begin);
  }
  await box.close();
  return { cycles: count, stopMs: median(times), slowestMs: Math.max(...times) };
}

const load = (): string => loadavg()[0]?.toFixed(1) ?? '';
const report: Record<string, unknown> = { load: load() };
const measure = async (name: string, how: () => unknown): Promise<void> => {
  if (!only.has(name)) return;
  report[name] = { ...((await how()) as object), load: load() };
  if (!values.json) console.log(name, JSON.stringify(report[name], undefined, 1));
};
await measure('starts', measureStarts);
await measure('trials', async () => ({
  replay: await measureTrials(Number(values.trials), AT_ONCE, replay(1)),
  python: await measureTrials(Math.ceil(Number(values.trials) / 4), {}, python),
}));
await measure('reports', () => measureReports(Number(values.reports)));
await measure('meter', () => measureMeter(20));
await measure('spool', measureSpool);
await measure('cycles', () => measureCycles(Number(values.cycles)));
if (values.json) console.log(JSON.stringify(report));
