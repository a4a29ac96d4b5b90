import { describe, expect, it } from 'vitest';
import { epochSecondsOf } from '../../../services/coordinator/core/lookups/seconds.js';
import type { TrialRecord } from '../../../services/coordinator/core/index.js';
import { epochRecord } from '../../support/core.js';

const plainSum = ({ epochs }: TrialRecord): number =>
  epochs
    .flatMap(({ trainSeconds, evaluationSeconds }) => [trainSeconds ?? 0, evaluationSeconds ?? 0])
    .reduce((sum, seconds) => sum + seconds, 0);

describe("the seconds of a trial's epochs", () => {
  it('are added up once each, to the bit as if they were added anew', () => {
    const trial = { epochs: [] } as unknown as TrialRecord;
    let looks = 0;
    for (let epoch = 1; epoch <= 200; epoch += 1) {
      const record = epochRecord(epoch, 0.5, { evaluationSeconds: epoch % 3 === 0 ? null : 0.1 });
      Object.defineProperty(record, 'trainSeconds', { get: () => ((looks += 1), 1 / epoch) });
      trial.epochs.push(record);
      const seconds = epochSecondsOf(trial);
      const before = looks;
      expect(seconds).toBe(plainSum(trial));
      looks = before;
    }
    expect(looks).toBe(200);
  });

  it('are null while none is read, and begin anew with the trial', () => {
    const unread = { trainSeconds: null, evaluationSeconds: null };
    const trial = { epochs: [epochRecord(1, 0.5, unread)] } as unknown as TrialRecord;
    expect(epochSecondsOf(trial)).toBeNull();
    trial.epochs.push(epochRecord(2, 0.5));
    expect(epochSecondsOf(trial)).toBe(1.1);
    trial.epochs.splice(0, 2, epochRecord(1, 0.5, { trainSeconds: 3 }));
    expect(epochSecondsOf(trial)).toBe(3.1);
    trial.epochs.splice(0, 1, epochRecord(1, 0.5, { trainSeconds: 5 }));
    expect(epochSecondsOf(trial)).toBe(5.1);
  });
});
