import { afterAll, describe, expect, it } from 'vitest';
import { addStated, ended, epoch, type FactContext } from '../../../services/trainer/attempts/facts.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import { StatedDevices, statedEnergyOf } from '../../../services/trainer/power/stated.js';

const meter = new PowerMeter({ sources: [], noSourceReason: 'nothing reads', estimateWatts: 100 });
afterAll(() => meter.close());

const context: FactContext = {
  key: { sweepId: 's', trialId: 't', attempt: 1, termId: '' },
  metered: [{ id: 'cpu', share: 1 }],
  meter,
  sameBoot: true,
  startedMonotonicMs: 4_000,
  previousMonotonicMs: null,
  idleWatts: null,
  stated: null,
};
const epochLine = {
  type: 'epoch',
  epoch: 1,
  step: 0,
  metrics: { target_reached: 0 },
  trainSeconds: 10,
  evaluationSeconds: null,
  dataWaitSeconds: null,
  samplesPerSecond: null,
  trainWindow: { beginMonotonicMs: 4_000, endMonotonicMs: 6_000 },
  evaluationWindow: null,
  trainJoules: 1_500,
} as const;
const epochOf = (more: Partial<FactContext>, line: Partial<typeof epochLine> = {}) => {
  const said = { ...epochLine, ...line };
  const fact = epoch(said, { atUnixMs: 1, monotonicMs: 6_000, line: said }, { ...context, ...more });
  if (fact === null) throw new Error('no epoch');
  return fact;
};
const replayed = { method: 'replay', seconds: 0, joules: 0 } as const;

const end = { type: 'end', class: 'crashed', code: 'ATTEMPT_CRASHED', message: 'x'.repeat(5_000) } as const;
const endOf = (monotonicMs: number, more: Partial<FactContext> = {}) => {
  const fact = ended(end, { atUnixMs: 1, monotonicMs, line: end }, { ...context, ...more });
  if (fact?.$case !== 'ended') throw new Error('no end');
  return fact.value;
};

describe('the end of an attempt', () => {
  it('has its seconds and joules, and a message of bounded length', () => {
    const { seconds, energy, message } = endOf(6_500);
    expect(seconds).toBe(2.5);
    expect(energy).toMatchObject({ joules: 250, meanWatts: 100, method: 'estimate' });
    expect(message).toHaveLength(2_000);
  });

  it('after a restart of the box has neither: its clock began anew', () => {
    const { seconds, energy } = endOf(9_000, { sameBoot: false });
    expect(seconds).toBeUndefined();
    expect(energy).toMatchObject({ joules: undefined, absentReason: 'the box was restarted since' });
  });

  it('that never ran has neither', () => {
    const { seconds, energy } = endOf(9_000, { startedMonotonicMs: null });
    expect(seconds).toBeUndefined();
    expect(energy).toMatchObject({ joules: undefined, absentReason: 'the attempt did not run' });
  });
});

describe('joules that a runner states', () => {
  it('are not heard of a recipe that the meter reads', () => {
    expect(epochOf({}).value.trainEnergy).toMatchObject({ joules: 200, meanWatts: 100, method: 'estimate' });
  });

  it('are all that there is of a recipe that declares a method of its own', () => {
    const { trainEnergy, evaluationEnergy, gpuUtilization } = epochOf({ stated: replayed }).value;
    expect(trainEnergy).toMatchObject({ joules: 1_500, meanWatts: 150, method: 'replay' });
    expect(evaluationEnergy).toMatchObject({ joules: undefined, method: '' });
    expect(gpuUtilization).toBeUndefined();
  });

  it.each([undefined, -1, NaN, 'many'])(
    'are absent when the recipe says %s, and never the word of the meter',
    (wrong) => {
      const fact = epochOf({ stated: replayed }, { trainJoules: wrong as never });
      expect(fact.value.trainEnergy).toMatchObject({
        joules: undefined,
        absentReason: 'the recipe stated none',
      });
      expect(addStated(replayed, fact)).toEqual({ ...replayed, seconds: 10, joules: null });
    },
  );

  it('are those of the attempt, too, with their seconds, after a restart of the box as before', () => {
    const stated = addStated(
      addStated(replayed, epochOf({ stated: replayed })),
      epochOf({ stated: replayed }),
    );
    const { seconds, energy } = endOf(6_500, { stated, sameBoot: false });
    expect(seconds).toBe(20);
    expect(energy).toMatchObject({ joules: 3_000, meanWatts: 150, method: 'replay' });
  });
});

describe('devices whose power is stated', () => {
  const key = { sweepId: 's', trialId: 't', attempt: 1, termId: '' };
  const device = { key, method: 'replay', model: 'V100', watts: 150 } as const;

  it('show watts while their attempt runs, and joules that only rise', () => {
    const devices = new StatedDevices();
    expect(devices.isRunning('cpu')).toBe(false);
    devices.begin('cpu', device);
    devices.add('cpu', 1_500);
    expect(devices.isRunning('cpu')).toBe(true);
    expect(devices.samples()).toEqual([
      expect.objectContaining({
        device: 'replay-cpu',
        model: 'V100',
        watts: 150,
        joules: 1_500,
        method: 'replay',
        key,
      }),
    ]);
    devices.end('cpu');
    expect(devices.isRunning('cpu')).toBe(false);
    expect(devices.samples()).toMatchObject([{ watts: undefined, joules: 1_500, key: undefined }]);
    devices.begin('cpu', device);
    devices.add('cpu', 500);
    expect(devices.samples()).toMatchObject([{ watts: 150, joules: 2_000 }]);
  });

  it('are those of the recipes that declare it', () => {
    expect(statedEnergyOf('replay')).toEqual(replayed);
    expect(statedEnergyOf('resnet-cifar10')).toBeNull();
    expect(statedEnergyOf('command')).toBeNull();
  });
});
