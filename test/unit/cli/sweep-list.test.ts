import { expect, it } from 'vitest';
import { Sweep, SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { progress } from '../../../cli/sweep-list.js';

const sweep = (over: Partial<Sweep>): Sweep =>
  Sweep.fromPartial({ trialsByState: { succeeded: 6, stopped: 2 }, state: SweepState.RUNNING, ...over });

it.each<[string, Partial<Sweep>]>([
  ['8/12', { trialsTotal: 12 }],
  // Repeats that are earned: nobody knows yet how many there will be.
  ['8/?', {}],
  ['8/8', { state: SweepState.COMPLETED }],
  ['8/12', { trialsTotal: 12, state: SweepState.STOPPED }],
  ['8/?, 1 running', { trialsByState: { succeeded: 6, stopped: 2, running: 1 }, state: SweepState.STOPPING }],
])('the progress of a sweep reads %s', (text, over) => {
  expect(progress(sweep(over))).toBe(text);
});
