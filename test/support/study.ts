/** A world with one sweep, of which people ask something: rerun, extend, limits. */
import { expect } from 'vitest';
import {
  fold,
  initialState,
  type ChangeInput,
  type LedgerEvent,
  type SweepSpec,
} from '../../services/coordinator/core/index.js';
import { epochRecord, freeze, sweepSpec, trainer, World } from './core.js';

type Asked = ChangeInput extends infer I
  ? I extends ChangeInput
    ? Omit<I, 'sweepId' | 'at'>
    : never
  : never;

export const ALL = { trialIds: null, cancelled: false, diverged: false };

export class Study extends World {
  constructor(over: Partial<SweepSpec> = {}, slots = 3) {
    super();
    this.submit(sweepSpec(over));
    this.join(trainer('a', slots));
  }

  ask(input: Asked): readonly LedgerEvent[] {
    return this.feed({ ...input, sweepId: 's', at: this.now });
  }

  get sweep() {
    const sweep = this.state.sweeps.get('s');
    if (sweep === undefined) throw new Error('no sweep');
    return sweep;
  }

  /** Trains what runs, and what follows, to the end; each trial's objective is that of its epoch. */
  finish(value: (trialId: string, epoch: number) => number = (_, epoch) => epoch / 100): void {
    for (let next = this.running()[0]; next !== undefined; next = this.running()[0]) {
      this.started(next);
      for (
        let epoch = (this.trial(next.trialId).epochs.at(-1)?.epoch ?? 0) + 1;
        epoch <= next.maxEpochs;
        epoch++
      )
        this.epoch(next, epochRecord(epoch, value(next.trialId, epoch)));
      this.end(next);
    }
  }

  /** Lets the first running trial fail for good. */
  fail(): string {
    const [next] = this.running();
    if (next === undefined) throw new Error('nothing runs');
    this.end(next, 'refused');
    return next.trialId;
  }

  /** The log alone gives the same state. */
  proveFold(): void {
    const state = initialState();
    for (const event of this.log) fold(state, event);
    expect(freeze(state)).toBe(freeze(this.state));
  }
}

/** What a sweep of so many random points of one parameter has. */
export const random = (trials: number) => ({
  search: { method: 'random' as const, trials, caseWeights: [1] },
  sweep: [
    {
      name: 'x',
      domain: {
        kind: 'range' as const,
        min: 0,
        max: 1,
        scale: 'linear' as const,
        integer: false,
        count: null,
      },
    },
  ],
});
