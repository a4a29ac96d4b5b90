import { expect, it } from 'vitest';
import { replayJson, replayText } from '../../../cli/replay-view.js';
import { ReplaySweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';

it('says that everything is equal', () => {
  const answer = ReplaySweepResponse.fromPartial({ sweepId: 's', reports: 12, decisions: 1 });
  expect(replayText(answer)).toBe('s: 12 epochs judged again, 1 decision compared: equal');
  expect(replayJson(answer)).toMatchObject({ equal: true, difference: null });
});

it('shows the first difference, both sides as sentences', () => {
  const answer = ReplaySweepResponse.fromPartial({
    sweepId: 's',
    reports: 3,
    decisions: 2,
    difference: {
      trialId: 't0002',
      epoch: 4,
      message: 'action: recorded continue, recomputed stop',
      recomputed: { rule: 'asha@1', action: 'stop', epoch: 4, reason: 'too low' },
    },
  });
  expect(replayText(answer).split('\n')).toEqual([
    's: 3 epochs judged again, 2 decisions compared, then the first difference',
    '  t0002, epoch 4: action: recorded continue, recomputed stop',
    '  recorded:   none',
    '  recomputed: epoch 4, asha@1: stop. too low',
  ]);
  expect(replayJson(answer)).toMatchObject({ equal: false, difference: { recorded: null, epoch: 4 } });
});
