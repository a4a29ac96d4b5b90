import { describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { EpochReport, Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { TrainerRecord } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { toReportInput, toTrainerInfo } from '../../../services/coordinator/fleet/convert.js';

const key = { sweepId: 's', trialId: 't0001', attempt: 1, termId: '' };
const epoch = (over: Partial<EpochReport>): Report => ({
  spoolLine: 1,
  fact: {
    $case: 'epoch',
    value: {
      key,
      epoch: 1,
      step: 1,
      metrics: { val_accuracy: 0.5 },
      trainSeconds: 1,
      evaluationSeconds: undefined,
      dataWaitSeconds: undefined,
      samplesPerSecond: undefined,
      trainEnergy: undefined,
      evaluationEnergy: undefined,
      gpuUtilization: undefined,
      atUnixMs: 1,
      ...over,
    },
  },
});
const heard = (report: Report) => {
  const doubts: string[] = [];
  return { input: toReportInput(report, (sentence) => void doubts.push(sentence)), doubts };
};
const recordOf = (report: Report) => {
  const { input, doubts } = heard(report);
  if (input?.kind !== 'epoch') throw new Error('no epoch');
  return { record: input.record, doubts };
};

describe('what cannot be', () => {
  it.each([-1, 1e300, Infinity, NaN])('%s seconds are no reading, and are doubted', (trainSeconds) => {
    const { record, doubts } = recordOf(epoch({ trainSeconds }));
    expect(record.trainSeconds).toBeNull();
    expect(doubts).toEqual([
      `epoch 1: training seconds is ${trainSeconds}, which cannot be: it counts as not read`,
    ]);
  });

  it.each([-5, 1e300])('%s joules are no reading, with the reason', (joules) => {
    const trainEnergy = { joules, meanWatts: 100, method: 'nvml-counter', absentReason: '' };
    const { record, doubts } = recordOf(epoch({ trainEnergy }));
    expect(record.train).toMatchObject({
      joules: null,
      meanWatts: null,
      absentReason: `the trainer said ${joules} J`,
    });
    expect(doubts).toHaveLength(1);
  });

  it('long names and too many metrics are left out, the others stay', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`m${i}`, i]));
    const { record, doubts } = recordOf(epoch({ metrics: { ['x'.repeat(1e6)]: 1, ...many } }));
    expect(Object.keys(record.metrics)).toHaveLength(1_000);
    expect(record.metrics['m0']).toBe(0);
    expect(doubts).toHaveLength(2);
    expect(doubts.join().length).toBeLessThan(1_000);
  });

  it('metrics stay as they are, finite or not: a lie about the objective is the trial’s own', () => {
    const { record, doubts } = recordOf(epoch({ metrics: { val_accuracy: 1e300, loss: NaN } }));
    expect([record.metrics, doubts]).toEqual([{ val_accuracy: 1e300, loss: NaN }, []]);
  });

  it('messages and models of a million characters are cut', () => {
    const long = 'x'.repeat(1e6);
    const ended = heard({
      spoolLine: 1,
      fact: {
        $case: 'ended',
        value: {
          key,
          class: AttemptEndClass.CRASHED,
          code: long,
          message: long,
          seconds: 1e300,
          energy: undefined,
          atUnixMs: 1,
        },
      },
    });
    expect(JSON.stringify(ended.input).length).toBeLessThan(3_000);
    expect(ended.doubts).toHaveLength(3);
    expect(heard(epoch({ key: { ...key, sweepId: long } })).input).toBeNull();
    expect(heard(epoch({ epoch: 0 })).input).toBeNull();
  });
});

describe('a record that cannot be', () => {
  const slot = (slotId: string, memoryBytes?: number) => ({
    slotId,
    deviceKind: 'gpu',
    deviceModel: 'A',
    deviceUuids: [],
    memoryBytes,
    threads: 1,
    freeMemoryBytes: undefined,
  });
  const record = (over: Partial<TrainerRecord>): Uint8Array =>
    Buffer.from(
      JSON.stringify(
        TrainerRecord.toJSON(
          TrainerRecord.fromPartial({ trainerId: 'box', address: 'h:1', slots: [slot('gpu0')], ...over }),
        ),
      ),
    );

  it('two slots of one name are one; memory that cannot be is not known', () => {
    const doubts: string[] = [];
    const value = record({ slots: [slot('gpu0', -1), slot('gpu0'), slot('gpu1', 8e9)] });
    const info = toTrainerInfo('box', value, (sentence) => void doubts.push(sentence));
    expect(info?.slots.map(({ slotId, memoryBytes }) => [slotId, memoryBytes])).toEqual([
      ['gpu0', null],
      ['gpu1', 8e9],
    ]);
    expect(doubts).toHaveLength(2);
  });

  it('is none when it names another box, or is no JSON', () => {
    expect(toTrainerInfo('other', record({}))).toBeNull();
    expect(toTrainerInfo('box', Buffer.from('{'))).toBeNull();
  });
});
