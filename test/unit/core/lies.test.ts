import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Input, LedgerEvent } from '../../../services/coordinator/core/index.js';
import { epochRecord, freeze, NO_READING, sweepSpec, trainer, World } from '../../support/core.js';

/** Two sweeps, each on a box of its own; the second box lies. */
function fleet(): World {
  const world = new World();
  const labels = (who: string) => ({ gpus: null, device: null, labels: { who } });
  world.submit(sweepSpec({ resources: labels('honest') }), 'honest');
  world.submit(sweepSpec({ resources: labels('liar') }), 'liar');
  world.join(
    trainer('honest', 2, { labels: { who: 'honest' } }),
    trainer('liar', 2, { labels: { who: 'liar' } }),
  );
  return world;
}
const ref = (sweepId: string, trialId = 't0001', attempt = 1) => ({ sweepId, trialId, attempt });
const said = (trainerId: string, report: object): Input =>
  ({ type: 'reported', trainerId, report, at: 2e6 }) as unknown as Input;
const epochOf = (where: object, epoch: number, value = 0.5): object => ({
  kind: 'epoch',
  ...where,
  record: epochRecord(epoch, value),
});
const endOf = (where: object): object => ({
  kind: 'ended',
  ...where,
  class: 'completed',
  code: '',
  message: '',
  seconds: 1,
  energy: NO_READING,
});
const startOf = (where: object): object => ({
  kind: 'started',
  ...where,
  deviceKind: 'gpu',
  deviceModel: 'H100',
  engine: {},
  trainableParameters: null,
  stepsPerEpoch: null,
  resumedEpoch: 0,
});

describe('a trainer that lies', () => {
  it.each<[string, Input]>([
    ['an unknown sweep', said('liar', epochOf(ref('nobody'), 1))],
    ['an unknown trial', said('liar', epochOf(ref('liar', 't9999'), 1))],
    ['an attempt that is not there yet', said('liar', epochOf(ref('liar', 't0001', 1e9), 1))],
    ['an epoch of what another box runs', said('liar', epochOf(ref('honest'), 1))],
    ['the end of what another box runs', said('liar', endOf(ref('honest')))],
    ['the start of what another box runs', said('liar', startOf(ref('honest')))],
    ['an epoch as a box that nobody knows', said('ghost', epochOf(ref('honest'), 1))],
    [
      'a refusal of an unknown attempt',
      {
        type: 'start_refused',
        ...ref('nobody'),
        retryable: false,
        code: 'PARAMETER_REFUSED',
        message: '',
        at: 2e6,
      },
    ],
  ])('about %s changes nothing', (_what, input) => {
    const world = fleet();
    const before = freeze(world.state);
    expect(world.feed(input)).toEqual([]);
    expect(freeze(world.state)).toBe(before);
  });

  it('an epoch that goes back is trained again, not taken twice', () => {
    const world = fleet();
    for (const epoch of [1, 2, 1, 2, 3, 1]) world.feed(said('liar', epochOf(ref('liar'), epoch, epoch / 10)));
    expect(world.trial('t0001', 'liar').epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  });

  it('a metric that is missing is told by its name, and ends that trial only', () => {
    const world = fleet();
    const record = epochRecord(1, 0, { metrics: { acc: 0.9 } });
    world.feed(said('liar', { kind: 'epoch', ...ref('liar'), record }));
    expect(world.trial('t0001', 'liar')).toMatchObject({
      state: 'diverged',
      reason: 'epoch 1 reports no val_accuracy',
    });
    expect(world.trial('t0002', 'liar').state).toBe('starting');
  });

  it('an epoch beyond the last keeps what was accepted, and says so', () => {
    const world = fleet();
    world.feed(said('liar', epochOf(ref('liar'), 2)));
    world.feed(said('liar', epochOf(ref('liar'), 1e9)));
    expect(world.trial('t0001', 'liar')).toMatchObject({
      state: 'succeeded',
      reason: 'complete after epoch 2; then it reported epoch 1000000000 of 4',
    });
    expect(world.trial('t0001', 'liar').epochs).toHaveLength(1);
  });

  it('whatever it says, the other sweep has the same events', () => {
    const lie = fc.record({
      kind: fc.constantFrom(epochOf, endOf, startOf),
      sweepId: fc.constantFrom('honest', 'liar', 'nobody'),
      trialId: fc.constantFrom('t0001', 't0002', 't0003', 't9', '__proto__'),
      attempt: fc.constantFrom(1, 2, 1e9),
      epoch: fc.constantFrom(1, 2, 4, 5, 1e9),
      value: fc.constantFrom(0.5, NaN, Infinity, 1e300),
    });
    const run = (lies: readonly (typeof lie extends fc.Arbitrary<infer T> ? T : never)[]): unknown => {
      const world = fleet();
      const events: LedgerEvent[] = [];
      const tell = (input: Input): void => {
        for (const event of world.feed({ ...input, at: 2e6 }))
          if ('sweepId' in event && event.sweepId === 'honest') events.push(event);
      };
      for (let i = 0; i < 12; i++) {
        const one = lies[i];
        if (one !== undefined) {
          const where = ref(one.sweepId, one.trialId, one.attempt);
          tell(said('liar', one.kind(where, one.epoch, one.value)));
        }
        const trialId = `t000${1 + (i % 2)}`;
        tell(said('honest', epochOf(ref('honest', trialId), 1 + Math.floor(i / 2), i / 20)));
        if (i > 8) tell(said('honest', endOf(ref('honest', trialId))));
      }
      return events;
    };
    const quiet = run([]);
    fc.assert(
      fc.property(fc.array(lie, { maxLength: 12 }), (lies) => {
        expect(run(lies)).toEqual(quiet);
      }),
      { numRuns: 100 },
    );
  });
});
