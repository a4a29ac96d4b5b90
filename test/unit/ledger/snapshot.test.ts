import { test as property, fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  beforeFold,
  decide,
  fold,
  initialState,
  type State,
} from '../../../services/coordinator/core/index.js';
import { decodeBatch } from '../../../services/coordinator/ledger/codec.js';
import { pack, unpack } from '../../../services/coordinator/ledger/snapshot/pack.js';
import { schemaOf } from '../../../services/coordinator/ledger/snapshot/schema.js';
import { readState, StateWriter } from '../../../services/coordinator/ledger/snapshot/state.js';
import { epochRecord, freeze, sweepSpec, trainer, World } from '../../support/core.js';
import { readFixtures } from '../../support/ledger-fixtures.js';

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-0, NaN, Infinity, -Infinity),
);
const leaf = fc.oneof(number, fc.string(), fc.boolean(), fc.constant(null));
const own = { noNullPrototype: true } as const;
const record = fc.record({ a: number, b: leaf, c: fc.record({ d: leaf, e: fc.constant('same') }, own) }, own);
const tree = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(number, { maxLength: 40 }),
    fc.array(record, { maxLength: 20 }),
    fc.array(tie('tree')),
    fc.dictionary(fc.string(), tie('tree'), own),
    fc.array(fc.tuple(fc.string(), tie('tree'))).map((entries) => new Map(entries)),
    fc.array(leaf).map((items) => new Set(items)),
  ),
})).tree;

describe('values as bytes', () => {
  property.prop([tree])('come back as they were', (value) => {
    expect(unpack(pack(value))).toStrictEqual(value);
  });

  test('what cannot come back is refused', () => {
    expect(() => pack({ at: new Date(0) })).toThrow(/cannot hold/);
    expect(() => pack([1, { at: new Date(0) }])).toThrow(/cannot hold/);
  });

  test('numbers that differ little take little room', () => {
    const rows = Array.from({ length: 500 }, (_, i) => ({ epoch: i, at: 1.7e12 + 1000 * i, unit: 'joules' }));
    expect(pack(rows).length).toBeLessThan(2_500);
  });
});

const written = (state: State): Uint8Array => Buffer.concat([...new StateWriter(state).frames()]);

describe('a snapshot of the state', () => {
  describe.each(readFixtures())('of the ledger $name', ({ entries }) => {
    const batches = entries.map((data, i) => decodeBatch(data, i + 1).events);
    const all = initialState();
    for (const event of batches.flat()) fold(all, event);

    test('taken again and again, with the tail behind it, is the fold of all', () => {
      const state = initialState();
      let restored = initialState();
      for (const [i, events] of batches.entries()) {
        for (const event of events) {
          fold(state, event);
          fold(restored, event);
        }
        // At every entry of the beginning, then less often: the state grows.
        if (i > 60 && i % 9 !== 0) continue;
        restored = readState(written(restored));
        expect(freeze(restored)).toBe(freeze(state));
      }
      expect(freeze(restored)).toBe(freeze(all));
    });

    test('written piece by piece while the state goes on holds what was when it began', () => {
      for (let at = 0; at < batches.length; at += 17) {
        const state = initialState();
        for (const event of batches.slice(0, at).flat()) fold(state, event);
        const expected = freeze(state);
        const writer = new StateWriter(state);
        const stop = beforeFold(state, (event) => writer.touch(state, event));
        const frames: Uint8Array[] = [];
        const rest = batches.slice(at).flat();
        // Two events between two frames.
        for (const frame of writer.frames()) {
          frames.push(frame);
          for (const event of rest.splice(0, 2)) fold(state, event);
        }
        stop();
        expect(freeze(readState(Buffer.concat(frames)))).toBe(expected);
        for (const event of rest) fold(state, event);
        expect(freeze(state)).toBe(freeze(all));
      }
    });
  });

  const asha = { rule: 'asha' as const, firstRung: 1, eta: 2, window: 1, compareWithin: [], brackets: 2 };
  const drawn = { trials: 12, caseWeights: [1] };
  const range = { kind: 'range', min: 0.01, max: 1, scale: 'log', integer: false, count: null } as const;
  const sweep = [{ name: 'lr_peak', domain: range }];
  const cases = {
    'grid, asha': sweepSpec({
      stopping: asha,
      repeats: 2,
      notify: { webhook: 'http://h/', on: ['end', 'failure'] },
    }),
    'random, promotion': sweepSpec({
      sweep,
      search: { method: 'random', ...drawn },
      stopping: { ...asha, mode: 'promote' },
    }),
    'sobol with a constraint, hyperband': sweepSpec({
      sweep,
      constraints: ['lr_peak > 0.02'],
      search: { method: 'sobol', scramble: 'owen', ...drawn },
      stopping: { rule: 'hyperband', eta: 2 },
    }),
    'tpe, median and patience': sweepSpec({
      sweep,
      search: { method: 'tpe', startup: 3, candidates: 24, gamma: 0.2, warmStart: null, ...drawn },
      stopping: {
        rule: 'composite',
        rules: [
          { rule: 'median', grace: 1, minTrials: 2 },
          { rule: 'patience', patience: 1, minDelta: 0, startEpoch: 1 },
        ],
      },
    }),
    'list, threshold': sweepSpec({
      sweep: [],
      search: {
        method: 'list',
        points: Array.from({ length: 9 }, (_, i) => ({ lr_peak: i / 10, name: `p${i}` })),
      },
      stopping: { rule: 'threshold', bound: 0.3, fromEpoch: 1 },
    }),
  };

  test.each(Object.entries(cases))('goes on as the state would have: %s', (_, spec) => {
    const world = new World();
    world.submit(spec);
    world.join(trainer('box', 4));
    let restored = readState(written(world.state));
    let compared = 0;
    for (let step = 0; world.running().length > 0 && step < 200; step += 1) {
      const start = world.running()[(step * 7) % world.running().length]!;
      const trial = world.trial(start.trialId);
      const epoch = (trial.epochs.at(-1)?.epoch ?? 0) + 1;
      const value = step % 23 === 22 ? NaN : Math.sin(trial.index * 3 + epoch);
      const at = world.now;
      const isOver =
        trial.endedAt !== null ||
        world.state.sweeps.get('s')?.trials.get(start.trialId)?.attempts.at(-1)?.stopMode !== null;
      const events = isOver ? world.end(start, 'stopped') : world.epoch(start, epochRecord(epoch, value));
      const { sweepId, trialId, attempt } = start;
      const ref = { sweepId, trialId, attempt };
      const energy = { joules: null, meanWatts: null, method: '', absentReason: 'no meter' };
      const report = isOver
        ? ({
            kind: 'ended',
            ...ref,
            class: 'stopped',
            code: '',
            message: 'stopped',
            seconds: 1,
            energy,
          } as const)
        : ({ kind: 'epoch', ...ref, record: epochRecord(epoch, value) } as const);
      expect(decide(restored, { type: 'reported', trainerId: 'box', report, at }).events).toEqual(events);
      compared += events.length;
      restored = readState(written(restored));
    }
    expect(freeze(restored)).toBe(freeze(world.state));
    expect(compared).toBeGreaterThan(40);
    expect(restored.outbox.size).toBe(spec.notify === undefined ? 0 : 1);
  });
});

test('a trial of many epochs is written again without those that were written before', () => {
  const world = new World();
  world.submit(sweepSpec({ maxEpochs: 2_000, sweep: [] }));
  world.join(trainer('box'));
  const [start] = world.running();
  for (let epoch = 1; epoch <= 1_300; epoch += 1) {
    world.epoch(
      start!,
      epochRecord(epoch, epoch / 7, epoch === 700 ? { metrics: { other: NaN, val_accuracy: 1 } } : {}),
    );
    if (epoch % 300 === 0 || epoch % 512 < 2)
      expect(freeze(readState(written(world.state)))).toBe(freeze(world.state));
  }
});

test('programs of another release, or with other fields, read no snapshots of this one', () => {
  expect(schemaOf('0.1.0')).not.toBe(schemaOf('0.2.0'));
  expect(schemaOf('0.1.0')).toMatch(/^2 0\.1\.0 [0-9a-f]{16}$/);
});

test('an epoch that was dropped is not in the next snapshot, though another has taken its place', () => {
  const world = new World();
  world.submit(sweepSpec());
  world.join(trainer('a', 1));
  const [first] = world.running();
  world.epoch(first!, epochRecord(1, 0.5));
  world.epoch(first!, epochRecord(2, NaN));
  world.end(first!, 'diverged');
  expect(freeze(readState(written(world.state)))).toBe(freeze(world.state));
  const selection = { trialIds: [first!.trialId], cancelled: false, diverged: true };
  world.feed({ type: 'rerun', sweepId: 's', selection, at: world.now });
  for (const other of world.running()) world.end(other, 'refused');
  const again = world.running().find(({ trialId }) => trialId === first!.trialId);
  world.epoch(again!, epochRecord(1, 0.5));
  world.epoch(again!, epochRecord(2, 0.75));
  expect(world.trial(first!.trialId).epochs.at(-1)?.metrics).toEqual({ val_accuracy: 0.75 });
  expect(freeze(readState(written(world.state)))).toBe(freeze(world.state));
});
