/** The look-up of who is promoted, against the definition that looks at all trials each time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isRerunnable,
  type AshaSpec,
  type State,
  type StoppingSpec,
  type SweepState,
} from '../../../services/coordinator/core/index.js';
import { nextFirstRun } from '../../../services/coordinator/core/sweeps/lifecycle.js';
import { hopelessIn, nextPromotion } from '../../../services/coordinator/core/placement/promotion.js';
import { ashaHalving } from '../../../services/coordinator/core/stopping/asha.js';
import { halving } from '../../../services/coordinator/core/stopping/halving.js';
import { hyperbandHalving } from '../../../services/coordinator/core/stopping/hyperband.js';
import { epochRecord, sweepSpec, trainer, World } from '../../support/core.js';
import { referenceOf } from '../../support/halving-reference.js';

const TRIALS = 24;
const MAX_EPOCHS = 9;

const sweepIn = (state: State): SweepState => state.sweeps.get('s')!;

function byDefinition(sweep: SweepState, stopping: AshaSpec | Extract<StoppingSpec, { rule: 'hyperband' }>) {
  const goal = sweep.spec.objective.goal;
  const options =
    stopping.rule === 'asha'
      ? ashaHalving(stopping, MAX_EPOCHS, goal, sweep.sweepId)
      : hyperbandHalving(stopping, MAX_EPOCHS, goal);
  const open = [...sweep.trials.values()].flatMap((trial, made) =>
    trial.repeat > 1 || trial.endedAt !== null
      ? []
      : {
          trialId: trial.trialId,
          index: trial.index,
          made,
          parameters: trial.parameters,
          epoch: trial.epochs.at(-1)?.epoch ?? 0,
          waitsAt: trial.state === 'paused' ? trial.waitsAtRung : null,
          isOpen: true,
        },
  );
  const field = {
    made: Math.min(sweep.nextIndex, sweep.points),
    isSearchDone: nextFirstRun(sweep) === null,
  };
  const reference = referenceOf(options);
  return {
    next: reference.next(sweep.rule, open, field),
    hopeless: reference.hopeless(sweep.rule, open, field),
  };
}

const stoppingArb = fc.oneof(
  fc.record({ rule: fc.constant('hyperband' as const), eta: fc.constantFrom(2, 3) }),
  fc.record({
    rule: fc.constant('asha' as const),
    mode: fc.constant('promote' as const),
    firstRung: fc.constantFrom(1, 2),
    eta: fc.constantFrom(2, 3),
    window: fc.constantFrom(1, 2),
    compareWithin: fc.constantFrom([], ['g']),
    brackets: fc.constantFrom(1, 2),
  }),
);

describe('who is promoted', () => {
  it('is the definition, whatever arrives, and the same when the look-up is made anew', () => {
    fc.assert(
      fc.property(
        stoppingArb,
        fc.constantFrom('maximize' as const, 'minimize' as const),
        fc.array(
          fc.record({
            who: fc.nat(5),
            value: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 4 }) }, fc.constant(NaN)),
            skip: fc.constantFrom(0, 0, 0, 1, 3),
            what: fc.constantFrom(
              ...['epoch', 'epoch', 'epoch', 'epoch', 'epoch', 'epoch'],
              ...['crash', 'pause', 'refuse', 'rerun'],
            ),
          }),
          { minLength: 20, maxLength: 120 },
        ),
        (stopping, goal, steps) => {
          const world = new World();
          const values = Array.from({ length: TRIALS / 2 }, (_, i) => i);
          world.submit(
            sweepSpec({
              stopping,
              maxEpochs: MAX_EPOCHS,
              objective: { metric: 'val_accuracy', goal, target: null, holdEpochs: 5, holdTolerance: 0 },
              sweep: [
                { name: 'x', domain: { kind: 'list', values } },
                { name: 'g', domain: { kind: 'list', values: [0, 1] } },
              ],
            }),
          );
          world.join(trainer('a', 4));
          const check = (): void => {
            const sweep = sweepIn(world.state);
            if (sweep.status !== 'running') return;
            const { next, hopeless } = byDefinition(sweep, stopping);
            expect(nextPromotion(sweep)).toEqual(next);
            const anew = sweepIn(structuredClone(world.state));
            expect(nextPromotion(anew)).toEqual(next);
            const byId = (a: { trialId: string }, b: { trialId: string }): number =>
              a.trialId < b.trialId ? -1 : 1;
            expect([...hopelessIn(anew)].sort(byId)).toEqual([...hopeless].sort(byId));
            // Whoever waits in vain has been ended: settling an input leaves none.
            expect(hopeless).toEqual([]);
          };
          for (const { who, value, skip, what } of steps) {
            const running = world.running();
            const start = running[who % Math.max(1, running.length)];
            if (start === undefined) break;
            const trial = world.trial(start.trialId);
            const epoch = Math.min(MAX_EPOCHS, (trial.epochs.at(-1)?.epoch ?? 0) + 1 + skip);
            if (what === 'crash') world.end(start, 'crashed');
            else if (what === 'refuse') world.end(start, 'refused');
            else if (what === 'rerun') {
              const ended = [...sweepIn(world.state).trials.values()].filter(isRerunnable);
              const trialIds = ended.slice(who, who + 2).map(({ trialId }) => trialId);
              const selection = { trialIds, cancelled: false, diverged: false };
              world.feed({ type: 'rerun', sweepId: 's', selection, at: world.now });
            } else if (what === 'pause') {
              for (const control of ['pause', 'resume'] as const)
                world.feed({ type: 'control', sweepId: 's', control, at: world.now });
            } else {
              world.epoch(start, epochRecord(epoch, value));
              if (epoch >= MAX_EPOCHS) world.end(start, 'completed');
              else if (trial.attempts.at(-1)?.stopMode != null) world.end(start, 'stopped');
            }
            check();
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is of the ladder with the oldest open trial, also when that one had ended and runs again', () => {
    const asha = { firstRung: 1, eta: 2, window: 1, compareWithin: ['g'], brackets: 1 };
    const options = ashaHalving({ rule: 'asha', mode: 'promote', ...asha }, MAX_EPOCHS, 'maximize', 's');
    const contender = (made: number, g: number, waitsAt: number | null, isOpen = true) => ({
      ...{ trialId: `t${made}`, index: made, made, parameters: { g }, isOpen },
      ...{ epoch: waitsAt ?? 0, waitsAt },
    });
    const [oldest, second, third] = [contender(0, 0, null), contender(1, 1, 1), contender(2, 0, 1)];
    const rung = (best: typeof oldest): [string, [string, number][]] => [
      `${options.ladderOf(best).key}/1`,
      [
        [best.trialId, 0.9],
        ['gone', 0.1],
      ],
    ];
    const state = Object.fromEntries([rung(second), rung(third)]);
    const promoted = (notes: readonly (typeof oldest)[]): string | undefined => {
      const waiting = halving(options).promotions?.(state);
      for (const trial of notes) waiting?.note(trial);
      return waiting?.next({ made: 3, isSearchDone: false })?.trialId;
    };
    expect(promoted([oldest, second, third])).toBe('t2');
    expect(promoted([oldest, second, third, { ...oldest, isOpen: false }])).toBe('t1');
    expect(promoted([oldest, second, third, { ...oldest, isOpen: false }, oldest])).toBe('t2');
  });
});
