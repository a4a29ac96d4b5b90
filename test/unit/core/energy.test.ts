/** The rule that stops what cannot reach the target with fewer joules, and ASHA by non-dominated sorting. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  simulate,
  type AshaSpec,
  type CurveReport,
  type EnergyToTargetSpec,
  type Goal,
  type Simulation,
} from '../../../services/coordinator/core/index.js';
import { countBetterInFronts } from '../../../services/coordinator/core/stopping/pareto.js';
import { sweepSpec } from '../../support/core.js';

const rule = (over: Partial<EnergyToTargetSpec> = {}): EnergyToTargetSpec => ({
  rule: 'energy_to_target',
  window: 2,
  optimism: 1,
  fromEpoch: 1,
  ...over,
});

interface Curve {
  readonly values: readonly number[];
  /** Of each epoch. */
  readonly joules: number | null | readonly (number | null)[];
}

const reportsOf = (trial: string, { values, joules }: Curve): CurveReport[] =>
  values.map((value, i) => ({
    trial,
    epoch: i + 1,
    value,
    seconds: null,
    joules: typeof joules === 'object' && joules !== null ? (joules[i] ?? null) : joules,
  }));

/** The curves one after the other: a, b, c, ... */
function simulated(
  stopping: EnergyToTargetSpec,
  curves: readonly Curve[],
  target = 10,
  goal: Goal = 'maximize',
) {
  const maxEpochs = Math.max(...curves.map(({ values }) => values.length));
  const objective = { metric: 'val_accuracy', goal, target, holdEpochs: 0, holdTolerance: 0 };
  const reports = curves.flatMap((curve, i) => reportsOf(String.fromCharCode(97 + i), curve));
  return simulate(sweepSpec({ stopping, maxEpochs, objective }), reports);
}

const ofRule = ({ decisions }: Simulation, trial: string) =>
  decisions.filter((one) => one.trial === trial && one.rule === 'energy_to_target@1');

describe('energy to target', () => {
  const winner: Curve = { values: [2, 4, 6, 8, 10], joules: 100 };

  it('stops the trial whose best course takes more joules than the best trial took, and says by how much', () => {
    const simulation = simulated(rule(), [winner, { values: [1, 2, 3, 4, 5], joules: 100 }]);
    expect(ofRule(simulation, 'a')).toEqual([]);
    // At epoch 3: 7 points to go; 1 an epoch alone, and as the winner gained from epoch 3 on only 4.
    expect(ofRule(simulation, 'b')).toMatchObject([
      {
        epoch: 3,
        action: 'stop',
        value: null,
        threshold: 500,
        reason:
          'even at its best the trial does not come from 3.0000 to 10.0000 by epoch 5; a reached 10.0000 with 0.1389 Wh',
      },
    ]);
    expect(simulation.saved).toMatchObject({ epochs: 2, joules: 200 });
    expect(simulation.best).toMatchObject({ trial: 'a', survived: true });
  });

  it('counts what is left of the way at the price of the cheapest epoch', () => {
    const dear: Curve = { values: [1, 3, 5, 7, 9, 11], joules: [100, 80, 100, 100, 100, 100] };
    // Epoch 3: 280 J, 5 to go at 2 an epoch: 3 more at 80 J each are 520 J.
    expect(ofRule(simulated(rule(), [winner, dear]), 'b')).toMatchObject([
      { epoch: 3, action: 'stop', value: 520, threshold: 500 },
    ]);
    const same: Curve = { ...dear, joules: 80 };
    expect(ofRule(simulated(rule(), [winner, same]), 'b').map(({ action }) => action)).toEqual(
      Array.from({ length: 3 }, () => 'continue'),
    );
  });

  it('lets a trial go on that may still gain what the best trial gained late', () => {
    const late: Curve = { values: [4, 4, 4, 4, 10], joules: 100 };
    const alike: Curve = { values: [4, 4, 4, 4, 10], joules: 90 };
    expect(ofRule(simulated(rule(), [late, alike]), 'b').map(({ action }) => action)).toEqual([
      'continue',
      'continue',
    ]);
    // One behind: 6 points to go where the best trial gained 6, 7 where it did not; optimism makes up for it.
    const behind: Curve = { values: [3, 3, 3, 3, 9], joules: 90 };
    expect(ofRule(simulated(rule(), [late, behind]), 'b')).toMatchObject([{ epoch: 3, action: 'stop' }]);
    expect(ofRule(simulated(rule({ optimism: 2 }), [late, behind]), 'b').at(0)).toMatchObject({
      epoch: 3,
      action: 'continue',
    });
  });

  it('waits for its window and for from_epoch, and for a trial to beat', () => {
    const slow: Curve = { values: [1, 1, 1, 1, 1], joules: 100 };
    expect(ofRule(simulated(rule({ fromEpoch: 4 }), [winner, slow]), 'b')).toMatchObject([{ epoch: 4 }]);
    expect(ofRule(simulated(rule({ window: 4 }), [winner, slow]), 'b')).toMatchObject([{ epoch: 5 }]);
    expect(ofRule(simulated(rule(), [slow, slow]), 'b')).toEqual([]);
  });

  it('never acts on a reading that is missing, and says so once; nor does such a trial become the one to beat', () => {
    const unread: Curve = { values: [1, 1, 1, 1, 1], joules: [100, null, 100, 100, 100] };
    expect(ofRule(simulated(rule(), [winner, unread]), 'b')).toMatchObject([
      { epoch: 2, action: 'continue', value: null, reason: expect.stringContaining('not known') as string },
    ]);
    const cheap: Curve = { values: [10], joules: null };
    expect(ofRule(simulated(rule(), [cheap, { values: [1, 1, 1], joules: 5 }]), 'b')).toEqual([]);
  });

  it('negates for minimize', () => {
    const down = (values: readonly number[]): Curve => ({ values, joules: 100 });
    const simulation = simulated(rule(), [down([8, 6, 4, 2, 0]), down([9, 8, 7, 6, 5])], 0, 'minimize');
    expect(ofRule(simulation, 'b')).toMatchObject([{ epoch: 3, action: 'stop', threshold: 500 }]);
  });

  const curveArb = fc
    .array(fc.tuple(fc.integer({ min: -2, max: 4 }), fc.integer({ min: 1, max: 9 })), {
      minLength: 8,
      maxLength: 8,
    })
    .map((steps): Curve => {
      let value = 0;
      return { values: steps.map(([gain]) => (value += gain)), joules: steps.map(([, joules]) => joules) };
    });
  const ruleArb = fc.record({
    rule: fc.constant('energy_to_target' as const),
    window: fc.integer({ min: 1, max: 4 }),
    optimism: fc.constantFrom(1, 1.5, 2),
    fromEpoch: fc.integer({ min: 1, max: 3 }),
  });

  it('stops exactly where no number of further epochs within the bound reaches the target in time', () => {
    fc.assert(
      fc.property(ruleArb, fc.array(curveArb, { minLength: 2, maxLength: 5 }), (spec, curves) => {
        const simulation = simulated(spec, curves);
        let toBeat: { joules: number; values: readonly number[] } | null = null;
        for (const [i, { values, joules }] of curves.entries()) {
          const name = String.fromCharCode(97 + i);
          const prices = joules as readonly number[];
          const decisions = ofRule(simulation, name);
          for (const { epoch, action } of decisions) {
            expect(toBeat).not.toBeNull();
            const seen = values.slice(0, epoch);
            const best = Math.max(...seen);
            const gains = seen
              .slice(-spec.window - 1)
              .map((v, at, all) => (at === 0 ? 0 : v - (all[at - 1] ?? 0)));
            const used = prices.slice(0, epoch).reduce((sum, one) => sum + one, 0);
            const cheapest = Math.min(...prices.slice(0, epoch));
            const peak = (e: number): number => Math.max(...toBeat!.values.slice(0, e));
            const inTime = Array.from({ length: 8 - epoch }, (_, k) => k + 1).some((k) => {
              const gain = spec.optimism * Math.max(k * Math.max(0, ...gains), peak(epoch + k) - peak(epoch));
              return best + gain >= 10 && used + k * cheapest <= toBeat!.joules;
            });
            expect(action).toBe(inTime ? 'continue' : 'stop');
          }
          const reached = values.findIndex((value) => value >= 10);
          const isStopped = decisions.some(({ action }) => action === 'stop');
          if (reached < 0 || isStopped) continue;
          const cost = prices.slice(0, reached + 1).reduce((sum, one) => sum + one, 0);
          if (toBeat === null || cost < toBeat.joules)
            toBeat = { joules: cost, values: values.slice(0, reached + 1) };
        }
      }),
      { numRuns: 300 },
    );
  });

  it('never stops a trial that goes on as it did, at no lower price, and so takes fewer joules than the best', () => {
    fc.assert(
      fc.property(
        ruleArb,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 30 }),
        (spec, fast, steady, price, other) => {
          const line = (slope: number): number[] =>
            Array.from({ length: Math.ceil(10 / slope) }, (_, i) => slope * (i + 1));
          const first: Curve = { values: line(fast), joules: price };
          const second: Curve = { values: line(steady), joules: other };
          fc.pre(second.values.length * other <= first.values.length * price);
          const simulation = simulated(spec, [first, second]);
          expect(ofRule(simulation, 'b').filter(({ action }) => action === 'stop')).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('asha by non-dominated sorting', () => {
  const alone: AshaSpec = {
    rule: 'asha',
    firstRung: 1,
    eta: 2,
    window: 1,
    compareWithin: [],
    brackets: 1,
    version: 2,
  };
  const asha: AshaSpec = { ...alone, pareto: ['joules', 'seconds'] };
  const rung = (
    rows: readonly (readonly [number, number | null, number | null])[],
    stopping = asha,
  ): string =>
    simulate(
      sweepSpec({ stopping, maxEpochs: 9 }),
      rows.map(([value, joules, seconds], i) => ({ trial: `t${i}`, epoch: 1, value, joules, seconds })),
    )
      .decisions.map(({ action }) => (action === 'stop' ? 'S' : 'C'))
      .join(' ');

  it('keeps who is beaten by nobody in all, and stops who is beaten in everything', () => {
    expect(
      rung([
        [0.9, 100, 10],
        [0.8, 50, 10],
        [0.7, 60, 20],
        [0.7, 200, 5],
      ]),
    ).toBe('C C S C');
    // By the objective alone the second would have ended.
    expect(
      rung(
        [
          [0.9, 100, 10],
          [0.8, 50, 10],
        ],
        alone,
      ),
    ).toBe('C S');
  });

  it('lets no missing reading decide: the cost then counts for nobody at the rung', () => {
    expect(
      rung([
        [0.9, 100, 10],
        [0.8, null, 10],
      ]),
    ).toBe('C S');
    expect(
      rung([
        [0.9, null, 10],
        [0.8, null, 5],
      ]),
    ).toBe('C C');
  });

  it('prefers the less crowded of one front, and takes equal ones as one', () => {
    // All in one front; the middle of three near ones has the smallest distance.
    const front = [
      [0, 10],
      [4, 6],
      [5, 5],
      [6, 4],
      [10, 0],
    ] as const;
    expect(countBetterInFronts(front, front[0])).toBe(0);
    expect(countBetterInFronts(front, front[2])).toBe(4);
    expect(countBetterInFronts([...front, [5, 5]], [5, 5])).toBe(4);
    expect(countBetterInFronts([...front, [3, 3]], [3, 3])).toBe(5);
  });

  it('ranks as the definition of dominance does', () => {
    const vector = fc.tuple(...Array.from({ length: 3 }, () => fc.integer({ min: 0, max: 4 })));
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 12 }), (vectors) => {
        const beats = (a: readonly number[], b: readonly number[]): boolean =>
          a.every((value, axis) => value >= b[axis]!) && a.some((value, axis) => value > b[axis]!);
        const depth = (v: readonly number[]): number =>
          Math.max(0, ...vectors.filter((other) => beats(other, v)).map((other) => depth(other) + 1));
        for (const v of vectors) {
          const better = countBetterInFronts(vectors, v);
          expect(better).toBeGreaterThanOrEqual(vectors.filter((other) => depth(other) < depth(v)).length);
          expect(better).toBeLessThan(vectors.filter((other) => depth(other) <= depth(v)).length);
        }
      }),
      { numRuns: 100 },
    );
  });
});
