/** What may, and what may not, depend on the order and the company in which reports arrive: for every search and rule. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoppingSpec, SweepSpec } from '../../../services/coordinator/core/index.js';
import { randomOf } from '../../simulation/random.js';
import { drawSpec } from '../../simulation/sweeps.js';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';

const SLOTS = 80;

/** Sweeps of every kind; nothing but reports moves them, and each trial has a slot. */
const specs = fc.nat(1_000_000).map((seed) => ({
  ...drawSpec(randomOf(seed, 'arrivals'), null),
  budget: { energyWh: null, hours: null },
  maxParallel: null,
}));

interface Step {
  readonly sweepId: string;
  /** Which of the trials that run, modulo their number. */
  readonly which: number;
  readonly value: number;
}

const value = fc.double({ min: 0, max: 1, noNaN: true });
const steps = (sweepId: string): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ sweepId: fc.constant(sweepId), which: fc.nat(20), value }), { maxLength: 40 });

function worldOf(sweeps: Readonly<Record<string, SweepSpec>>): World {
  const world = new World();
  for (const [sweepId, spec] of Object.entries(sweeps)) world.submit(spec, sweepId);
  world.join(trainer('a', SLOTS));
  return world;
}

/** Attempts with something left to do, oldest first. */
const training = (world: World, sweepId: string) =>
  world.running().filter((start) => {
    const { attempts, endedAt } = world.trial(start.trialId, start.sweepId);
    const isTold = attempts[start.attempt - 1]?.stopMode !== null;
    return start.sweepId === sweepId && endedAt === null && !isTold;
  });

/** One trial reports its next epoch, and its attempt ends when it is told to. */
function report(world: World, { sweepId, which, value: next }: Step): void {
  const running = training(world, sweepId);
  const start = running[which % Math.max(1, running.length)];
  if (start !== undefined) tell(world, start, next);
}

function tell(world: World, start: ReturnType<World['running']>[number], next: number): void {
  const trial = world.trial(start.trialId, start.sweepId);
  world.epoch(start, epochRecord((trial.epochs.at(-1)?.epoch ?? 0) + 1, next));
  if (trial.endedAt !== null) world.end(start, 'completed');
  else if (trial.attempts.at(-1)?.stopMode != null) world.end(start, 'stopped');
}

/** What was decided of a sweep, without moments. */
const outcome = (world: World, sweepId: string): unknown =>
  [...world.state.sweeps.get(sweepId)!.trials.values()].map(
    ({ trialId, parameters, repeat, state, reason, decisions, epochs }) => ({
      ...{ trialId, parameters, repeat, state, reason, decisions },
      epochs: epochs.length,
    }),
  );

/** Both lists, each in its own order. */
function interleave<T>(a: readonly T[], b: readonly T[], coins: readonly boolean[]): T[] {
  const [left, right] = [[...a], [...b]];
  const merged: T[] = [];
  for (let i = 0; left.length + right.length > 0; i += 1) {
    const from = right.length === 0 || (left.length > 0 && coins[i % coins.length]) ? left : right;
    merged.push(from.shift()!);
  }
  return merged;
}

const coins = fc.array(fc.boolean(), { minLength: 1, maxLength: 30 });

describe('the order of arrivals', () => {
  it('between sweeps says nothing, under any search and rule', () => {
    fc.assert(
      fc.property(specs, specs, steps('one'), steps('two'), coins, (one, two, first, second, order) => {
        const play = (list: readonly Step[]): unknown => {
          const world = worldOf({ one, two });
          for (const step of list) report(world, step);
          return [outcome(world, 'one'), outcome(world, 'two')];
        };
        expect(play(interleave(first, second, order))).toEqual(play([...first, ...second]));
      }),
      { numRuns: 60 },
    );
  });

  const alone = fc.record({
    stopping: fc.constantFrom<StoppingSpec>(
      { rule: 'none' },
      { rule: 'patience', patience: 1, minDelta: 0.05, startEpoch: 1 },
      { rule: 'threshold', bound: 0.4, fromEpoch: 2 },
      {
        rule: 'composite',
        rules: [
          { rule: 'threshold', bound: 0.3, fromEpoch: 1 },
          { rule: 'patience', patience: 2, minDelta: 0, startEpoch: 2 },
        ],
      },
    ),
    target: fc.constantFrom(null, 0.8),
    goal: fc.constantFrom('maximize' as const, 'minimize' as const),
  });
  const curves = fc.array(fc.array(fc.oneof(value, fc.constant(NaN)), { maxLength: 8 }), {
    minLength: 2,
    maxLength: 6,
  });

  it('between trials says nothing under patience, threshold and target', () => {
    fc.assert(
      fc.property(alone, curves, fc.infiniteStream(fc.nat(5)), ({ stopping, target, goal }, all, picks) => {
        const spec = sweepSpec({
          stopping,
          maxEpochs: 9,
          objective: { metric: 'val_accuracy', goal, target, holdEpochs: 1, holdTolerance: 0.1 },
          sweep: [{ name: 'x', domain: { kind: 'list', values: all.map((_, i) => i) } }],
        });
        const play = (order: readonly number[]): unknown => {
          const world = worldOf({ s: spec });
          const starts = world.running();
          const left = all.map((curve) => [...curve]);
          for (const i of order) {
            const next = left[i]?.shift();
            const start = starts[i]!;
            if (next === undefined || world.trial(start.trialId).endedAt !== null) continue;
            tell(world, start, next);
          }
          return outcome(world, 's');
        };
        const inTurns = all.flatMap((curve, i) => curve.map(() => i));
        const mixed: number[] = [];
        const counts = all.map(({ length }) => length);
        while (counts.some((count) => count > 0)) {
          const i = picks.next().value! % all.length;
          if (counts[i]! > 0) mixed.push(i);
          counts[i] = counts[i]! - 1;
        }
        expect(play(mixed)).toEqual(play(inTurns));
      }),
      { numRuns: 150 },
    );
  });
});

describe('a report that is not finite', () => {
  it('changes no more for other trials than the failing of its trial there, under any search and rule', () => {
    const events = fc.array(
      fc.record({
        which: fc.nat(20),
        value: fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: fc.constant(NaN) }),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(specs, events, fc.constantFrom(NaN, Infinity, -Infinity), (spec, list, odd) => {
        const play = (how: 'not finite' | 'failing'): { others: unknown; gone: string[] } => {
          const world = worldOf({ s: spec });
          const gone: string[] = [];
          for (const { which, value: next } of list) {
            const running = training(world, 's');
            const start = running[which % Math.max(1, running.length)];
            if (start === undefined) continue;
            if (Number.isFinite(next)) tell(world, start, next);
            else {
              gone.push(start.trialId);
              if (how === 'not finite') tell(world, start, odd);
              else world.end(start, 'refused');
            }
          }
          const others = (outcome(world, 's') as { trialId: string }[]).filter(
            ({ trialId }) => !gone.includes(trialId),
          );
          return { others, gone };
        };
        expect(play('not finite')).toEqual(play('failing'));
      }),
      { numRuns: 150 },
    );
  });

  it('is in no count and no rank: without it the others are decided just so', () => {
    const rules = fc.constantFrom<StoppingSpec>(
      { rule: 'asha', firstRung: 1, eta: 2, window: 2, compareWithin: [], brackets: 1 },
      { rule: 'median', grace: 0, minTrials: 1 },
      { rule: 'patience', patience: 1, minDelta: 0, startEpoch: 1 },
      { rule: 'threshold', bound: 0.4, fromEpoch: 1 },
    );
    const list = fc.array(
      fc.record({ which: fc.nat(9), value: fc.oneof(value, value, value, fc.constant(NaN)) }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(rules, list, (stopping, drawn) => {
        const values = Array.from({ length: 10 }, (_, x) => x);
        const sweep = [{ name: 'x', domain: { kind: 'list' as const, values } }];
        const play = (isTold: (next: number) => boolean): unknown => {
          const world = worldOf({ s: sweepSpec({ stopping, maxEpochs: 9, sweep }) });
          const starts = world.running();
          const silent = new Set<number>();
          for (const { which, value: next } of drawn) {
            if (silent.has(which) || world.trial(starts[which]!.trialId).endedAt !== null) continue;
            if (!Number.isFinite(next)) silent.add(which);
            if (isTold(next)) tell(world, starts[which]!, next);
          }
          const others = starts.filter((_, i) => !silent.has(i));
          return others.map(({ trialId }) => world.trial(trialId).decisions);
        };
        expect(play(() => true)).toEqual(play(Number.isFinite));
      }),
      { numRuns: 150 },
    );
  });
});

describe('a budget', () => {
  const WH = 3_600;

  it('of energy is overshot by at most one epoch a slot, whatever crashes meanwhile', () => {
    const inputs = fc.record({
      slots: fc.integer({ min: 1, max: 5 }),
      budget: fc.integer({ min: 1, max: 400 }),
      steps: fc.array(
        fc.record({ which: fc.nat(9), joules: fc.integer({ min: 0, max: 10 }), crash: fc.nat(9) }),
        {
          minLength: 1,
          maxLength: 120,
        },
      ),
    });
    fc.assert(
      fc.property(inputs, ({ slots, budget, steps: list }) => {
        const MOST_AN_EPOCH = 10;
        const world = new World();
        const values = Array.from({ length: 30 }, (_, x) => x);
        world.submit(
          sweepSpec({
            maxEpochs: 6,
            sweep: [{ name: 'x', domain: { kind: 'list', values } }],
            budget: { energyWh: budget / WH, hours: null },
          }),
        );
        world.join(trainer('a', slots));
        const drawn = new Map<string, number>();
        const epochs = new Map<string, number>();
        const sweep = world.state.sweeps.get('s')!;
        let spentBy = '';
        for (const { which, joules: used, crash } of list) {
          const running = training(world, 's');
          const start = running[which % Math.max(1, running.length)];
          if (start === undefined) continue;
          const key = `${start.trialId}#${start.attempt}`;
          const sum = (drawn.get(key) ?? 0) + used;
          drawn.set(key, sum);
          spentBy = key;
          // Half an epoch is lost with a crash.
          if (crash === 0) {
            world.end(start, 'crashed', joules(sum));
            continue;
          }
          const epoch = (epochs.get(key) ?? 0) + 1;
          epochs.set(key, epoch);
          world.epoch(start, epochRecord(epoch, 0.5, { train: joules(used) }));
          if (world.trial(start.trialId).endedAt !== null && sweep.status === 'running')
            world.end(start, 'completed', joules(sum));
        }
        if (sweep.status === 'running') {
          // In watt-hours it may be just below.
          expect(sweep.spentJoules ?? 0).toBeLessThanOrEqual(budget);
          return;
        }
        const assigned = world.log.filter(({ type }) => type === 'attempt_assigned').length;
        // The slot whose report spent it is told at once; every other one was in the midst of an epoch.
        for (const start of world.running()) {
          const key = `${start.trialId}#${start.attempt}`;
          if (key === spentBy) {
            world.end(start, 'stopped', joules(drawn.get(key) ?? 0));
            continue;
          }
          world.epoch(start, epochRecord((epochs.get(key) ?? 0) + 1, 0.5, { train: joules(MOST_AN_EPOCH) }));
          world.end(start, 'stopped', joules((drawn.get(key) ?? 0) + MOST_AN_EPOCH));
        }
        expect(sweep.status).toBe('stopped');
        expect(sweep.spentJoules).toBeGreaterThanOrEqual(budget);
        expect(sweep.spentJoules).toBeLessThanOrEqual(budget + slots * MOST_AN_EPOCH);
        expect(world.log.filter(({ type }) => type === 'attempt_assigned')).toHaveLength(assigned);
      }),
      { numRuns: 200 },
    );
  });

  it('of a trial is overshot by at most one epoch, and stands in the way of nobody else', () => {
    const curve = fc.array(fc.record({ joules: fc.integer({ min: 0, max: 10 }), seconds: fc.nat(10) }), {
      minLength: 1,
      maxLength: 20,
    });
    const limit = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(curve, limit, limit, (epochs, mostJoules, mostSeconds) => {
        const world = new World();
        const trialLimits = { maxEnergyWh: mostJoules / WH, maxSeconds: mostSeconds };
        world.submit(sweepSpec({ maxEpochs: 30, trialLimits }));
        world.join(trainer('a', 3));
        const [first, ...others] = world.running();
        let spent = { joules: 0, seconds: 0 };
        for (const [i, epoch] of epochs.entries()) {
          if (world.trial(first!.trialId).endedAt !== null) break;
          spent = { joules: spent.joules + epoch.joules, seconds: spent.seconds + epoch.seconds };
          const record = {
            train: joules(epoch.joules),
            trainSeconds: epoch.seconds,
            evaluationSeconds: null,
          };
          world.epoch(first!, epochRecord(i + 1, 0.5, record));
          const isOver = spent.joules / WH >= mostJoules / WH || spent.seconds >= mostSeconds;
          expect(world.trial(first!.trialId).state).toBe(isOver ? 'stopped' : 'running');
        }
        for (const { trialId } of others) expect(world.trial(trialId).endedAt).toBeNull();
      }),
      { numRuns: 150 },
    );
  });
});
