import { afterAll, describe, expect, it } from 'vitest';
import { ended, type FactContext } from '../../../services/trainer/attempts/facts.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';

const meter = new PowerMeter({ sources: [], noSourceReason: 'nothing reads', estimateWatts: 100 });
afterAll(() => meter.close());

const context: FactContext = {
  key: { sweepId: 's', trialId: 't', attempt: 1 },
  metered: [{ id: 'cpu', share: 1 }],
  meter,
  sameBoot: true,
  startedMonotonicMs: 4_000,
  previousMonotonicMs: null,
  stated: null,
};
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
