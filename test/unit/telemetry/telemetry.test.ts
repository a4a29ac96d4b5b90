import { describe, expect, test } from 'vitest';
import {
  TelemetryBatch,
  type DeviceSample,
  type StepProgress,
} from '../../../proto/gen/wattsweep/v1/facts.js';
import { metrics } from '../../../proto/metrics.js';
import { createTelemetry } from '../../../services/coordinator/telemetry/index.js';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';
import { parseExposition, sample, type Series } from '../../support/exposition.js';

interface Batch {
  readonly trainerId: string;
  readonly steps?: readonly StepProgress[];
  readonly devices?: readonly (Partial<DeviceSample> & typeof device)[];
}
type Attempt = ReturnType<World['running']>[number];

const GPU = 'GPU-fake-0';
const device: Pick<DeviceSample, 'device' | 'model' | 'method' | 'key' | 'throttling'> = {
  device: GPU,
  model: 'NVIDIA Fake 1000',
  method: '',
  key: undefined,
  throttling: undefined,
};
const key = ({ sweepId, trialId, attempt }: Attempt) => ({ sweepId, trialId, attempt, termId: '' });

/** A core with two slots and a sweep of three trials, and its telemetry without NATS. */
async function start(world = new World(), leads = true) {
  if (world.state.sweeps.size === 0) {
    world.join(trainer('box', 2));
    world.submit(sweepSpec({ stopping: { rule: 'threshold', bound: 0.1, fromEpoch: 1 } }));
  }
  const leadership = { leads };
  const arrived: Uint8Array[] = [];
  let wake = (): void => undefined;
  const telemetry = await createTelemetry({
    link: {
      bounds: () => Promise.resolve({ lastSeq: 0 }),
      async *consume(_stream, _fromSeq, signal) {
        signal.addEventListener('abort', () => wake());
        while (!signal.aborted) {
          for (const data of arrived.splice(0)) yield { data };
          await new Promise<void>((resolve) => (wake = resolve));
        }
      },
    },
    getState: () => world.state,
    isLeader: () => leadership.leads,
    now: () => world.now,
    version: '1.2.3',
  });
  const publishBytes = async (data: Uint8Array) => {
    arrived.push(data);
    wake();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    world,
    telemetry,
    leadership,
    publishBytes,
    publish: ({ trainerId, steps = [], devices = [] }: Batch) =>
      publishBytes(TelemetryBatch.encode({ trainerId, atUnixMs: 0, steps, devices }).finish()),
    scrape: async (): Promise<readonly Series[]> => parseExposition(await telemetry.metricsText()),
  };
}

const running = (world: World, index: number): Attempt => {
  const attempt = world.running()[index];
  if (attempt === undefined) throw new Error(`no running attempt ${index}`);
  return attempt;
};

const withTrial = (series: readonly Series[], trial: string) =>
  series.filter(({ labels }) => labels['trial'] === trial);

describe('series of trials', () => {
  test('exist for trials that hold a slot, and for no other', async () => {
    const { world, scrape } = await start();
    const series = await scrape();
    const shown = new Set(series.map(({ labels }) => labels['trial']).filter((trial) => trial !== undefined));
    expect([...shown].sort()).toEqual(world.running().map(({ trialId }) => trialId));
    expect(sample(series, 'wattsweep_trials', { state: 'starting' })).toBe(2);
    expect(sample(series, 'wattsweep_trials', { state: 'failed' })).toBe(0);
  });

  test('stay for two scrapes after the end and then vanish', async () => {
    const { world, scrape } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    for (const epoch of [1, 2, 3, 4]) world.epoch(attempt, epochRecord(epoch, 0.5));
    world.end(attempt);
    expect(world.trial(attempt.trialId).state).toBe('succeeded');

    world.now = (world.trial(attempt.trialId).endedAt ?? 0) + 29_000;
    const soon = await scrape();
    expect(sample(soon, 'wattsweep_trial_objective', { trial: attempt.trialId })).toBe(0.5);
    expect(sample(soon, 'wattsweep_trial_info', { trial: attempt.trialId })).toBeUndefined();

    world.now += 2_000;
    const later = await scrape();
    expect(withTrial(later, attempt.trialId)).toEqual([]);
    expect(sample(later, 'wattsweep_trials', { state: 'succeeded' })).toBe(1);
  });

  test('carry the live step of the present attempt only', async () => {
    const world = new World();
    world.join(trainer('box', 3));
    world.submit(sweepSpec());
    const { scrape, publish } = await start(world);
    const first = running(world, 0);
    world.started(first);
    const step = (attempt: Attempt, loss: number) => ({
      trainerId: 'box',
      steps: [{ key: key(attempt), epoch: 1, step: 7, metrics: { loss, learning_rate: 0.01 } }],
    });
    await publish(step(first, 2.5));
    expect(sample(await scrape(), 'wattsweep_trial_loss', { trial: first.trialId })).toBe(2.5);
    expect(sample(await scrape(), 'wattsweep_trial_learning_rate', { trial: first.trialId })).toBe(0.01);

    world.end(first, 'preempted');
    const second = world.running().find(({ trialId }) => trialId === first.trialId);
    expect(second?.attempt).toBe(2);
    await publish(step(first, 9.9));
    expect(sample(await scrape(), 'wattsweep_trial_loss', { trial: first.trialId })).toBeUndefined();
  });

  test('fall back on the last epoch where no steps are reported', async () => {
    const { world, scrape } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    const metricsOfEpoch = { val_accuracy: 0.5, train_cross_entropy: 1.5, learning_rate: 0.1 };
    world.epoch(attempt, epochRecord(1, 0.5, { metrics: metricsOfEpoch, samplesPerSecond: 640 }));
    const series = await scrape();
    const trial = { trial: attempt.trialId };
    expect(sample(series, 'wattsweep_trial_loss', trial)).toBe(1.5);
    expect(sample(series, 'wattsweep_trial_learning_rate', trial)).toBe(0.1);
    expect(sample(series, 'wattsweep_trial_samples_per_second', trial)).toBe(640);
    expect(sample(series, 'wattsweep_trial_step', trial)).toBe(10);
  });

  test('are bounded however many slots there are', async () => {
    const world = new World();
    world.join(trainer('huge', 1500));
    const values = Array.from({ length: 1500 }, (_, index) => index + 1);
    world.submit(sweepSpec({ sweep: [{ name: 'batch_size', domain: { kind: 'list', values } }] }));
    const { scrape } = await start(world);
    expect(world.running().length).toBe(1500);
    const shown = (await scrape()).filter(({ name }) => name === 'wattsweep_trial_epoch');
    expect(shown.length).toBe(1000);
  });
});

describe('what was not read', () => {
  test('is absent, never 0', async () => {
    const { world, scrape, publish } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    world.epoch(attempt, epochRecord(1, 0.5));
    await publish({ trainerId: 'box', devices: [{ ...device, utilization: 0.5 }] });
    const series = await scrape();
    expect(sample(series, 'wattsweep_device_utilization_ratio', { device: GPU })).toBe(0.5);
    const energy = /_(watts|joules_total|celsius|hertz|throttled)$|memory_used_bytes/;
    expect(
      series.filter(({ name }) => name.startsWith('wattsweep_') && energy.test(name)).map(({ name }) => name),
    ).toEqual([]);
  });

  test('watts and joules that were read carry the method', async () => {
    const { world, scrape, publish } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    world.epoch(attempt, epochRecord(1, 0.5, { train: joules(100), evaluation: joules(10) }));
    await publish({
      trainerId: 'box',
      devices: [
        {
          ...device,
          watts: 123.5,
          joules: 4567,
          method: 'estimate',
          temperatureCelsius: 61,
          clockHertz: 1.4e9,
          throttling: { reasons: ['thermal'] },
          powerLimitWatts: 250,
        },
      ],
    });
    const series = await scrape();
    const estimate = { device: GPU, method: 'estimate', trainer: 'box' };
    expect(sample(series, 'wattsweep_device_power_watts', estimate)).toBe(123.5);
    expect(sample(series, 'wattsweep_device_energy_joules_total', estimate)).toBe(4567);
    expect(sample(series, 'wattsweep_device_clock_hertz', { clock: 'processors' })).toBe(1.4e9);
    expect(sample(series, 'wattsweep_device_clock_hertz', { clock: 'memory' })).toBeUndefined();
    expect(sample(series, 'wattsweep_device_power_limit_watts')).toBe(250);
    expect(sample(series, 'wattsweep_device_throttled', { reason: 'thermal' })).toBe(1);
    expect(sample(series, 'wattsweep_device_throttled', { reason: 'power_cap' })).toBe(0);
    expect(sample(series, 'wattsweep_trial_energy_joules_total', { method: 'nvml-counter' })).toBe(110);
    expect(sample(series, 'wattsweep_sweep_energy_joules_total', { method: 'nvml-counter' })).toBe(110);
    expect(sample(series, 'wattsweep_sweep_spent_energy_joules_total')).toBe(110);
  });

  test('one unread epoch leaves the joules of the trial unknown', async () => {
    const { world, scrape } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    world.epoch(attempt, epochRecord(1, 0.5, { train: joules(100), evaluation: joules(10) }));
    world.epoch(attempt, epochRecord(2, 0.5));
    const series = await scrape();
    expect(sample(series, 'wattsweep_trial_energy_joules_total')).toBeUndefined();
    expect(sample(series, 'wattsweep_sweep_energy_joules_total')).toBe(110);
  });

  test('a device that falls silent is dropped', async () => {
    const { world, scrape, publish } = await start();
    await publish({ trainerId: 'box', devices: [{ ...device, watts: 100, method: 'nvml-power' }] });
    expect(sample(await scrape(), 'wattsweep_device_power_watts')).toBe(100);
    world.now += 15_000;
    expect(sample(await scrape(), 'wattsweep_device_power_watts')).toBeUndefined();
  });

  test('a trainer that the ledger does not know adds no series', async () => {
    const { scrape, publish } = await start();
    await publish({ trainerId: 'stranger', devices: [{ ...device, watts: 100, method: 'nvml-power' }] });
    expect((await scrape()).filter(({ labels }) => labels['trainer'] === 'stranger')).toEqual([]);
  });
});

describe('the fleet', () => {
  const slots = async (scrape: () => Promise<readonly Series[]>, trainerId: string) => {
    const series = await scrape();
    return ['busy', 'free', 'withheld'].map((state) =>
      sample(series, 'wattsweep_slots', { trainer: trainerId, state }),
    );
  };

  test('has slots that are busy, free, or withheld by a trainer that drains or is silent', async () => {
    const world = new World();
    world.join(trainer('box', 5));
    world.submit(sweepSpec());
    const { scrape } = await start(world);
    expect(await slots(scrape, 'box')).toEqual([3, 2, 0]);
    world.join(trainer('box', 5, { draining: true }));
    expect(await slots(scrape, 'box')).toEqual([3, 0, 2]);
    world.join(trainer('box', 5));
    world.feed({ type: 'trainer_silent', trainerId: 'box', at: world.now });
    expect(await slots(scrape, 'box')).toEqual([3, 0, 2]);
    expect(sample(await scrape(), 'wattsweep_trainers', { state: 'suspect' })).toBe(1);
  });

  test('shows of a lost trainer that it is lost, and nothing else', async () => {
    const { world, scrape, publish } = await start();
    await publish({ trainerId: 'box', devices: [{ ...device, watts: 100, method: 'nvml-power' }] });
    world.feed({ type: 'trainer_silent', trainerId: 'box', at: world.now });
    world.feed({ type: 'trainer_gone', trainerId: 'box', at: world.now });
    const series = await scrape();
    expect(sample(series, 'wattsweep_trainers', { state: 'lost' })).toBe(1);
    expect(series.filter(({ labels }) => labels['trainer'] === 'box')).toEqual([]);
  });
});

describe('sums', () => {
  test('count each epoch once, from scrape to scrape and after leadership came back', async () => {
    const { world, scrape, leadership } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    const count = async () => sample(await scrape(), 'wattsweep_epoch_duration_seconds_count');
    world.epoch(attempt, epochRecord(1, 0.5));
    expect(await count()).toBe(1);
    expect(await count()).toBe(1);
    world.epoch(attempt, epochRecord(2, 0.4));
    expect(await count()).toBe(2);
    leadership.leads = false;
    expect(await count()).toBeUndefined();
    leadership.leads = true;
    expect(await count()).toBe(2);
    const series = await scrape();
    expect(sample(series, 'wattsweep_epochs_accepted_total')).toBe(2);
    expect(sample(series, 'wattsweep_epoch_duration_seconds_sum')).toBeCloseTo(2.2);
    expect(sample(series, 'wattsweep_sweep_best_objective')).toBe(0.5);
  });

  test('name decisions and ends by rule, action and class', async () => {
    const { world, scrape } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    world.epoch(attempt, epochRecord(1, 0.01));
    world.end(attempt, 'stopped');
    const series = await scrape();
    expect(sample(series, 'wattsweep_decisions_total', { rule: 'threshold@1', action: 'stop' })).toBe(1);
    expect(sample(series, 'wattsweep_attempts_ended_total', { class: 'stopped' })).toBe(1);
    expect(sample(series, 'wattsweep_attempts_ended_total', { class: 'lost' })).toBe(0);
    expect(sample(series, 'wattsweep_attempts_assigned_total')).toBe(3);
    expect(sample(series, 'wattsweep_trial_duration_seconds_count')).toBe(1);
  });

  test('forget a sweep an hour after its end', async () => {
    const { world, scrape } = await start();
    world.feed({ type: 'control', sweepId: 's', control: 'stop', at: world.now });
    for (const attempt of world.running()) world.end(attempt, 'stopped');
    expect(sample(await scrape(), 'wattsweep_sweep_info')).toBe(1);
    world.now += 3_600_000;
    const series = await scrape();
    expect(series.filter(({ labels }) => labels['sweep'] !== undefined)).toEqual([]);
    expect(sample(series, 'wattsweep_sweeps', { state: 'stopped' })).toBe(1);
  });
});

describe('the exposition', () => {
  test('has exactly the metrics and labels of the one file of names', async () => {
    const { telemetry, publish, world } = await start();
    world.epoch(running(world, 0), epochRecord(1, NaN, { train: joules(1), evaluation: joules(1) }));
    await publish({ trainerId: 'box', devices: [{ ...device, watts: 1, method: 'hwmon' }] });
    const text = await telemetry.metricsText();
    const described = [...text.matchAll(/^# TYPE (wattsweep_\S+) (\S+)$/gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    expect(Object.fromEntries(described)).toEqual(
      Object.fromEntries(Object.values(metrics).map(({ name, type }) => [name, type])),
    );
    for (const { name, labels } of parseExposition(text)) {
      const definition = Object.values(metrics).find((one) =>
        one.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') === one.name : name === one.name,
      );
      if (definition === undefined) {
        expect(name).toMatch(/^(process|nodejs)_/);
      } else {
        const allowed: readonly string[] = [...definition.labels, 'le'];
        expect(allowed).toEqual(expect.arrayContaining(Object.keys(labels)));
      }
    }
  });

  test('spells NaN as Prometheus does', async () => {
    const { world, telemetry, publish } = await start();
    const attempt = running(world, 0);
    world.started(attempt);
    await publish({
      trainerId: 'box',
      steps: [{ key: key(attempt), epoch: 1, step: 1, metrics: { loss: NaN } }],
    });
    const text = await telemetry.metricsText();
    expect(text).toContain(`trial="${attempt.trialId}"} NaN\n`);
    expect(text).not.toMatch(/ Nan$/m);
  });

  test('of a coordinator that does not lead holds only what is its own', async () => {
    const { scrape } = await start(new World(), false);
    const series = await scrape();
    expect(sample(series, 'wattsweep_leader')).toBe(0);
    expect(sample(series, 'wattsweep_build_info', { version: '1.2.3' })).toBe(1);
    expect(series.filter(({ name }) => /^wattsweep_(sweep|trial|trainers|slots|device)/.test(name))).toEqual(
      [],
    );
  });

  test('counts what the other rooms of the coordinator tell', async () => {
    const { scrape, telemetry } = await start();
    const { coordinator } = telemetry;
    coordinator.appended('accepted', 3, 0.002);
    coordinator.appended('fenced', 2, 0.5);
    coordinator.decided('tick');
    coordinator.consumed(5);
    coordinator.commanded('start_attempt', 'refused');
    coordinator.notified('given_up');
    const series = await scrape();
    expect(sample(series, 'wattsweep_ledger_appends_total', { result: 'accepted' })).toBe(1);
    expect(sample(series, 'wattsweep_ledger_appends_total', { result: 'fenced' })).toBe(1);
    expect(sample(series, 'wattsweep_ledger_events_total')).toBe(3);
    expect(sample(series, 'wattsweep_ledger_append_duration_seconds_count')).toBe(1);
    expect(sample(series, 'wattsweep_inputs_decided_total', { input: 'tick' })).toBe(1);
    expect(sample(series, 'wattsweep_reports_consumed_total')).toBe(5);
    expect(sample(series, 'wattsweep_notifications_total', { result: 'given_up' })).toBe(1);
    expect(sample(series, 'wattsweep_notifications_total', { result: 'delivered' })).toBe(0);
    expect(sample(series, 'wattsweep_commands_total', { command: 'start_attempt', result: 'refused' })).toBe(
      1,
    );
  });

  test('counts messages that are no telemetry, and goes on', async () => {
    const { scrape, publish, publishBytes } = await start();
    await publishBytes(Uint8Array.of(0xff, 0xff, 0xff));
    await publish({ trainerId: 'box', devices: [{ ...device, watts: 5, method: 'rapl' }] });
    const series = await scrape();
    expect(sample(series, 'wattsweep_telemetry_batches_total', { result: 'failed' })).toBe(1);
    expect(sample(series, 'wattsweep_telemetry_batches_total', { result: 'ok' })).toBe(1);
    expect(sample(series, 'wattsweep_device_power_watts')).toBe(5);
  });
});
