/** Seeds that once failed, each with what it found. Their faults stand here, so that they mean the same for ever. */
import type { Fault } from './faults.js';

export interface Regression {
  readonly found: string;
  readonly seed: number;
  readonly faults: readonly Fault[];
}

const fault = (kind: Fault['kind'], at: number, lastsMs: number, target: number, jumpMs = 0): Fault => ({
  kind,
  at,
  lastsMs,
  target,
  jumpMs,
});

export const regressions: readonly Regression[] = [
  {
    found: 'a leader whose clock is behind its predecessor starts what that one assigned and never sent',
    seed: 2,
    faults: [
      fault('clock_jump', 500, 200_000, 0, 3_000_000),
      fault('calls_cut_off', 600, 9_000, 0),
      fault('coordinator_crash', 6_000, 30_000, 0),
    ],
  },
  {
    found: 'a retry that was put off by a clock two hours ahead does not wait for them',
    seed: 34,
    faults: [0, 1].map((target) => fault('clock_jump', 500, 25_000, target, 7_200_000)),
  },
  {
    found: 'actions are carried out when only the acknowledgement of their entry was lost',
    seed: 1,
    faults: [fault('lost_acknowledgements', 3_000, 40_000, 1)],
  },
];
