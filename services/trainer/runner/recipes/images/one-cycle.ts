/**
 * The 1cycle policy (Smith 2018, arXiv:1803.09820) as PyTorch's `OneCycleLR` and as fastai's `fit_one_cycle` define it:
 * they agree neither on the end of the rate nor on where a step stands in its phase. Pure.
 */

export interface OneCycle {
  readonly kind: '1cycle';
  readonly definition: 'pytorch' | 'fastai';
  /** Three: up, down to the start, far down (PyTorch's `three_phase`). */
  readonly phases: 2 | 3;
  /** Share of the run in which the rate rises. */
  readonly pctStart: number;
  readonly anneal: 'cos' | 'linear';
  /** The rate begins at peak / div. */
  readonly div: number;
  /** The rate ends at start / finalDiv in PyTorch's definition, at peak / finalDiv in fastai's. */
  readonly finalDiv: number;
  /** Momentum (beta_1 of Adam) where the rate is low, and where it peaks; null leaves it alone. */
  readonly momentum: readonly [high: number, low: number] | null;
}

interface Phase {
  /** Position of the phase's end. */
  readonly end: number;
  readonly rate: readonly [from: number, to: number];
  readonly momentum: readonly [from: number, to: number];
}

function phasesOf(cycle: OneCycle, steps: number): readonly Phase[] {
  const { definition, phases, pctStart, div, finalDiv } = cycle;
  const start = 1 / div;
  const [high, low] = cycle.momentum ?? [0, 0];
  const up = { rate: [start, 1], momentum: [high, low] } as const;
  if (definition === 'fastai') {
    return [
      { end: pctStart * steps, ...up },
      { end: steps, rate: [1, 1 / finalDiv], momentum: [low, high] },
    ];
  }
  const end = start / finalDiv;
  const first = { end: pctStart * steps - 1, ...up };
  if (phases === 2) return [first, { end: steps - 1, rate: [1, end], momentum: [low, high] }];
  return [
    first,
    { end: 2 * pctStart * steps - 2, rate: [1, start], momentum: [low, high] },
    { end: steps - 1, rate: [start, end], momentum: [high, high] },
  ];
}

/**
 * Rate, as a multiple of the peak, and momentum of a step.
 *
 * @param step 0-based, below `steps`.
 */
export function oneCycle(
  cycle: OneCycle,
  step: number,
  steps: number,
): { readonly multiplier: number; readonly momentum: number | null } {
  const phases = phasesOf(cycle, steps);
  let begin = 0;
  for (const [index, { end, rate, momentum }] of phases.entries()) {
    if (step > end && index < phases.length - 1) {
      begin = end;
      continue;
    }
    // A run of a few steps can leave a phase no room.
    const part = end > begin ? Math.min(1, Math.max(0, (step - begin) / (end - begin))) : 1;
    const between = ([from, to]: readonly [number, number]): number =>
      cycle.anneal === 'linear'
        ? from + (to - from) * part
        : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
    return { multiplier: between(rate), momentum: cycle.momentum === null ? null : between(momentum) };
  }
  throw new RangeError('a 1cycle schedule has phases');
}

/** First steps (1-based) of the phases. */
export const oneCycleBegins = (cycle: OneCycle, steps: number): number[] => [
  1,
  ...phasesOf(cycle, steps)
    .slice(0, -1)
    .map(({ end }) => Math.ceil(end) + 1),
];
