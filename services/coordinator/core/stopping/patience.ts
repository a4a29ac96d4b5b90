/**
 * Patience, as Keras' `EarlyStopping` (keras/callbacks/early_stopping.py): an epoch improves when it is better than
 * the best so far by strictly more than `minDelta`, and only then does the best move.
 */
import type { Goal, PatienceSpec } from '../spec.js';
import { show, signOf, type RuleState, type StoppingRule } from './rule.js';

interface Memory {
  best: number;
  bestEpoch: number;
  /** Reports in a row that did not improve. */
  wait: number;
  /** Reports that counted. */
  seen: number;
}

export function patience(spec: PatienceSpec, goal: Goal): StoppingRule {
  const sign = signOf(goal);
  const memoryOf = (state: RuleState, trialId: string): Memory | undefined =>
    state[trialId] as Memory | undefined;
  return {
    id: 'patience@1',
    init: () => ({}),
    absorb(state, { trialId, epoch, value }) {
      if (epoch < spec.startEpoch) return;
      const signed = sign * value;
      const memory = memoryOf(state, trialId);
      if (memory === undefined) {
        state[trialId] = { best: signed, bestEpoch: epoch, wait: 0, seen: 1 } satisfies Memory;
        return;
      }
      memory.seen++;
      if (signed - spec.minDelta > memory.best)
        Object.assign(memory, { best: signed, bestEpoch: epoch, wait: 0 });
      else memory.wait++;
    },
    judge(state, { trialId, epoch, value }) {
      const memory = memoryOf(state, trialId);
      if (memory === undefined || memory.seen < 2) return [];
      const stops = memory.wait > 0 && memory.wait >= spec.patience;
      const best = sign * memory.best;
      return [
        {
          rule: 'patience@1',
          action: stops ? 'stop' : 'continue',
          epoch,
          rung: null,
          value,
          rank: null,
          n: memory.wait,
          threshold: best,
          reason:
            memory.wait === 0
              ? `${show(value)} improves on what was best before`
              : `${memory.wait} epochs in a row without improving on ${show(best)} (epoch ${memory.bestEpoch}) ` +
                `by more than ${spec.minDelta}; patience is ${spec.patience}`,
        },
      ];
    },
  };
}
