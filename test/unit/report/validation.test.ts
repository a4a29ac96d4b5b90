import { describe, expect, it } from 'vitest';
import type { SweepState } from '../../../services/coordinator/core/state.js';
import { buildReport } from '../../../services/coordinator/report/index.js';
import type { Parameters } from '../../../services/coordinator/core/spec.js';
import { BEGIN, sweepState } from '../../support/sweep-state.js';

const trial = (parameters: Parameters, values: number[]) => ({ parameters, values });

function remark(state: SweepState): string | undefined {
  const { warnings } = buildReport(state, { now: BEGIN });
  return warnings.find(({ code }) => code === 'chosen_on_validation_data')?.text;
}

/** As the recipe reports: with the last epoch of a trial that got there. */
function tested(state: SweepState, accuracies: readonly (number | null)[]): SweepState {
  const trials = [...state.trials].map(([id, trial], index): [string, typeof trial] => {
    const accuracy = accuracies[index];
    const last = trial.epochs.at(-1);
    if (accuracy === null || accuracy === undefined || last === undefined) return [id, trial];
    const metrics = { ...last.metrics, test_accuracy: accuracy };
    return [id, { ...trial, epochs: [...trial.epochs.slice(0, -1), { ...last, metrics }] }];
  });
  return { ...state, trials: new Map(trials) };
}

const heldOut = { validation: { from: 'train', size: 5000 } };

describe('what the report says of the data that validates', () => {
  it('warns of the test images as long as one trial is validated on them', () => {
    const trials = [trial({ lr_peak: 1, ...heldOut }, [0.5]), trial({ lr_peak: 2 }, [0.6])];
    expect(remark(sweepState({ trials }))).toContain('Validation uses the test images');
  });

  it('names the test accuracy of the best where training images validate', () => {
    const trials = [
      trial({ lr_peak: 1, ...heldOut }, [0.5]),
      trial({ lr_peak: 2, ...heldOut }, [0.6]),
      trial({ lr_peak: 3, ...heldOut }, [0.7]),
    ];
    expect(remark(tested(sweepState({ trials }), [0.49, 0.58, null]))).toContain(
      'Measured on them once, after the last epoch: lr_peak 2 0.5800; lr_peak 1 0.4900.',
    );
  });

  it('says so when no trial came to its test', () => {
    const trials = [trial({ lr_peak: 1, ...heldOut }, [0.5])];
    expect(remark(sweepState({ trials }))).toContain('No trial reached its last epoch');
  });
});
