import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decide,
  fold,
  initialState,
  Replay,
  type LedgerEvent,
  type StoppingSpec,
  type SweepSpec,
} from '../../../services/coordinator/core/index.js';
import { changeOf } from '../../simulation/people.js';
import { randomOf } from '../../simulation/random.js';
import { drawSpec } from '../../simulation/sweeps.js';
import { epochRecord, freeze, joules, sweepSpec, trainer, World } from '../../support/core.js';

const asha = { rule: 'asha' as const, firstRung: 1, eta: 2, window: 1, compareWithin: [], brackets: 1 };

/** A grid under a rule that stops or one that promotes; or a sweep of any kind. */
const sweeps = fc.oneof(
  fc
    .constantFrom<StoppingSpec>(
      asha,
      { ...asha, mode: 'promote' },
      { rule: 'hyperband', eta: 2 },
      { rule: 'composite', rules: [asha, { rule: 'median', grace: 1, minTrials: 1 }] },
    )
    .map((stopping): Partial<SweepSpec> => ({ stopping })),
  fc.nat(1_000_000).map((seed): Partial<SweepSpec> => drawSpec(randomOf(seed, 'properties'), null)),
);

/** What may happen next, as a choice that any state gives a meaning to. */
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('epoch' as const),
      which: fc.nat(20),
      ahead: fc.integer({ min: -1, max: 2 }),
      value: fc.oneof(
        { weight: 8, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
        { weight: 1, arbitrary: fc.constant(NaN) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which: fc.nat(20),
      class: fc.constantFrom(
        'completed',
        'stopped',
        'crashed',
        'preempted',
        'diverged',
        'out_of_memory',
        'refused',
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('trainer' as const),
      id: fc.constantFrom('a', 'b'),
      word: fc.constantFrom('trainer_silent', 'trainer_gone', 'seen'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('late' as const), which: fc.nat(40) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('control' as const),
      control: fc.constantFrom('pause', 'resume'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('refused' as const),
      which: fc.nat(20),
      retryable: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('listed' as const),
      id: fc.constantFrom('a', 'b'),
      held: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tick' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      change: fc.constantFrom('sweep_rerun', 'sweep_extended', 'limits_changed', 'sweep_labelled'),
      number: fc.nat(1_000),
    }),
  },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

function play(world: World, step: Happening): void {
  const running = world.running();
  switch (step.kind) {
    case 'epoch': {
      const start = running[step.which % Math.max(1, running.length)];
      if (start === undefined) return;
      const last = world.trial(start.trialId).epochs.at(-1)?.epoch ?? 0;
      world.epoch(start, epochRecord(Math.max(1, last + 1 + step.ahead), step.value, { train: joules(5) }));
      return;
    }
    case 'end': {
      const start = running[step.which % Math.max(1, running.length)];
      if (start !== undefined) world.end(start, step.class, joules(7));
      return;
    }
    case 'late': {
      const starts = world.actions.filter((action) => action.type === 'start_attempt');
      const start = starts[step.which % Math.max(1, starts.length)];
      if (start !== undefined && !running.includes(start)) world.epoch(start, epochRecord(3, 0.99));
      return;
    }
    case 'trainer':
      if (step.word === 'seen') world.join(trainer(step.id, 2));
      else world.feed({ type: step.word, trainerId: step.id, at: world.now });
      return;
    case 'control':
      world.feed({
        type: 'control',
        sweepId: 's',
        control: step.control,
        at: world.now,
      });
      return;
    case 'refused': {
      const start = running[step.which % Math.max(1, running.length)];
      if (start === undefined) return;
      const { sweepId, trialId, attempt } = start;
      const { retryable } = step;
      const code = retryable ? 'SLOT_BUSY' : 'PARAMETER_REFUSED';
      world.feed({
        type: 'start_refused',
        sweepId,
        trialId,
        attempt,
        retryable,
        code,
        message: '',
        at: world.now,
      });
      return;
    }
    case 'listed': {
      const held = running.filter(({ trainerId }) => trainerId === step.id).slice(0, step.held);
      const attempts = held.map(({ sweepId, trialId, attempt }) => ({
        sweepId,
        trialId,
        attempt,
        phase: 'running' as const,
        ledgerId: 'ledger',
      }));
      world.feed({
        type: 'attempts_listed',
        trainerId: step.id,
        attempts,
        at: world.now,
      });
      return;
    }
    case 'tick':
      world.feed({ type: 'tick', at: world.now + 70_000 });
      return;
    case 'change': {
      const input = changeOf(step.change, world.state.sweeps.get('s')!, step.number, world.now);
      if (input !== null) world.feed(input);
      return;
    }
  }
}

/** @param look called after each step */
function worldOf(
  steps: readonly Happening[],
  over: Partial<SweepSpec> = {},
  look: (world: World) => void = () => undefined,
): World {
  const world = new World();
  world.submit(
    sweepSpec({
      stopping: asha,
      maxEpochs: 5,
      repeats: 2,
      sweep: [{ name: 'x', domain: { kind: 'list', values: [1, 2, 3, 4, 5, 6] } }],
      ...over,
    }),
  );
  world.join(trainer('a', 2), trainer('b', 2));
  look(world);
  for (const step of steps) {
    play(world, step);
    look(world);
  }
  return world;
}

describe('the core, whatever happens', () => {
  it('folding the log gives the state, byte for byte, at every prefix', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), sweeps, (steps, over) => {
        const folded = initialState();
        let taken = 0;
        worldOf(steps, over, (world) => {
          const news = JSON.stringify(world.log.slice(taken), encode);
          for (const event of JSON.parse(news, decode) as LedgerEvent[]) fold(folded, event);
          taken = world.log.length;
          expect(freeze(folded)).toBe(freeze(world.state));
        });
      }),
      { numRuns: 200 },
    );
  });

  it('ends each trial once (until it is let run again), issues no point twice, and lets one attempt of a trial live at a time', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 80 }), sweeps, (steps, over) => {
        const world = worldOf(steps, over);
        const ended = new Set<string>();
        for (const event of world.log) {
          if (event.type === 'trial_reopened') ended.delete(event.trialId);
          if (event.type !== 'trial_ended') continue;
          expect(ended).not.toContain(event.trialId);
          ended.add(event.trialId);
        }
        const sweep = world.state.sweeps.get('s')!;
        const points = [...sweep.trials.values()].map((trial) => `${trial.pointHash}/${trial.repeat}`);
        expect(new Set(points).size).toBe(points.length);
        for (const trial of sweep.trials.values()) {
          const live = trial.attempts.filter((attempt) => attempt.end === null).length;
          expect(live).toBeLessThanOrEqual(1);
          expect(sweep.active.has(trial.trialId)).toBe(live === 1);
          for (const [i, record] of trial.epochs.entries())
            if (i > 0) expect(record.epoch).toBeGreaterThan(trial.epochs[i - 1]!.epoch);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('leaks no slot: every held slot belongs to a live attempt, and every live attempt on a trainer holds its slot', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 80 }), sweeps, (steps, over) => {
        const world = worldOf(steps, over);
        const held = [...world.state.trainers.values()].flatMap((t) =>
          [...t.holders.values()].map((h) => `${h.trialId}#${h.attempt}`),
        );
        const live = world.running().map((start) => `${start.trialId}#${start.attempt}`);
        expect(held.sort()).toEqual(live.sort());
      }),
      { numRuns: 200 },
    );
  });

  it('comes to an end when everything goes on', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), sweeps, (steps, over) => {
        const world = worldOf(steps, over);
        world.feed({ type: 'control', sweepId: 's', control: 'resume', at: world.now });
        world.join(trainer('a', 2), trainer('b', 2));
        for (let i = 0; i < 400 && world.state.sweeps.get('s')!.endedAt === null; i++) {
          for (const start of world.running()) {
            const last = world.trial(start.trialId).epochs.at(-1)?.epoch ?? 0;
            world.epoch(start, epochRecord(last + 1, 0.5));
            const { state, attempts } = world.trial(start.trialId);
            if (state !== 'running' && state !== 'starting') world.end(start, 'completed');
            else if (attempts.at(-1)?.stopMode === 'pause') world.end(start, 'stopped');
          }
          world.feed({ type: 'tick', at: world.now + 70_000 });
        }
        const { status, spec, trials } = world.state.sweeps.get('s')!;
        const hasBudget = spec.budget.energyWh !== null || spec.budget.hours !== null;
        expect(hasBudget ? ['completed', 'stopped'] : ['completed']).toContain(status);
        for (const trial of trials.values()) expect(trial.endedAt).not.toBeNull();
      }),
      { numRuns: 100 },
    );
  });

  it('is what a replay of its log says', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), sweeps, (steps, over) => {
        const replay = new Replay('s');
        for (const event of worldOf(steps, over).log) replay.take(event);
        expect(replay.finish()).toBeNull();
      }),
      { numRuns: 100 },
    );
  });

  it('decides the same twice', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (steps) => {
        expect(worldOf(steps).log).toEqual(worldOf(steps).log);
      }),
      { numRuns: 50 },
    );
  });

  it('an input that means nothing changes nothing', () => {
    const world = worldOf([]);
    const before = freeze(world.state);
    const { events } = decide(world.state, { type: 'tick', at: world.now });
    expect(events).toEqual([]);
    expect(freeze(world.state)).toBe(before);
  });
});

const encode = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value;
const decode = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'number' in value && typeof value.number === 'string'
    ? Number(value.number)
    : value;
