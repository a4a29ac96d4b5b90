import { describe, expect, it } from 'vitest';
import type { ExplainTrialResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { Decision, Trial, TrialState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { explanation, sentence } from '../../../cli/explanation.js';

describe('a decision as a sentence', () => {
  it('holds rung, number compared, rank, n and threshold', () => {
    const decision = Decision.fromPartial({
      rule: 'asha@1',
      action: 'stop',
      epoch: 4,
      rung: 4,
      value: 0.312,
      rank: 6,
      n: 9,
      threshold: 0.401,
      reason: 'not among the best third',
    });
    expect(sentence(decision)).toBe(
      'epoch 4, asha@1 at rung 4: stop. 0.3120 is rank 6 of 9; the threshold is 0.4010. not among the best third',
    );
  });

  it('leaves out what a rule does not have', () => {
    const decision = Decision.fromPartial({
      rule: 'target@1',
      action: 'succeed',
      epoch: 7,
      reason: 'held 0.92',
    });
    expect(sentence(decision)).toBe('epoch 7, target@1: succeed. held 0.92');
  });
});

it('says so when no rule has looked at a trial', () => {
  const answer: ExplainTrialResponse = {
    trial: Trial.fromPartial({
      trialId: 't0001',
      state: TrialState.FAILED,
      parametersJson: '{"batch_size":0}',
      reason: 'batch_size: 0 is below 1',
    }),
    decisions: [],
    history: ['attempt 1 on a/cpu: refused'],
  };
  const text = explanation(answer);
  expect(text).toContain('t0001 failed: batch_size: 0 is below 1');
  expect(text).toContain('none: no rule has looked at it');
  expect(text).toContain('attempt 1 on a/cpu: refused');
});
