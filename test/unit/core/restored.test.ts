import { describe, expect, it } from 'vitest';
import { fold, initialState } from '../../../services/coordinator/core/index.js';
import { epochRecord, freeze, sweepSpec, trainer, World } from '../../support/core.js';

const outgrown = (world: World, above: number) =>
  world.feed({ type: 'term_outgrown', above, trainerId: 'a', coordinatorId: 'c1', at: world.now });

const listed = (
  world: World,
  ...phases: { trialId: string; attempt: number; phase: 'running' | 'ended' }[]
) =>
  world.feed({
    type: 'attempts_listed',
    trainerId: 'a',
    attempts: phases.map((phase) => ({ sweepId: 's', ledgerId: 'ledger', ...phase })),
    at: world.now,
  });

function running(): World {
  const world = new World();
  world.submit(sweepSpec());
  world.join(trainer('a', 2));
  return world;
}

describe('a ledger that trainers have outgrown', () => {
  it('goes on above the term that they remember, once', () => {
    const world = running();
    expect(outgrown(world, 7)[0]).toMatchObject({
      type: 'term_started',
      term: 8,
      above: 7,
      ledgerId: 'ledger',
    });
    expect(world.state).toMatchObject({ term: 8, copies: 1 });
    expect(world.state.notices[0]?.text).toMatch(/older copy.*term 7/);
    expect(outgrown(world, 7)).toEqual([]);
    expect(outgrown(world, 3)).toEqual([]);
    expect(outgrown(world, 2 ** 50)).toEqual([]);
  });

  it('numbers anew what it assigned before it knew, and leaves alone what had begun', () => {
    const world = running();
    const [first, second] = world.running();
    world.started(first!);
    outgrown(world, 7);
    const numbers = world.running().map(({ trialId, attempt }) => [trialId, attempt]);
    expect(numbers).toEqual([
      [first!.trialId, 1],
      [second!.trialId, 1_001],
    ]);
  });

  it('does not take what a box remembers of the lost part for its own', () => {
    const world = running();
    const [first] = world.running();
    outgrown(world, 7);
    const events = listed(
      world,
      { trialId: first!.trialId, attempt: 2, phase: 'running' },
      ...world.running().map(({ trialId, attempt }) => ({ trialId, attempt, phase: 'running' as const })),
    );
    expect(events.filter(({ type }) => type === 'attempt_ended')).toEqual([]);
    expect(world.actions.filter(({ type }) => type === 'stop_attempt')).toEqual([]);
    const before = freeze(world.state);
    world.epoch({ sweepId: 's', trialId: first!.trialId, attempt: 2 }, epochRecord(1, 0.5));
    expect(freeze(world.state)).toBe(before);
  });

  it('runs again what ended in the lost part, and what a box assigned before the copy no longer knows', () => {
    const world = running();
    const [first, second] = world.running();
    world.started(first!);
    outgrown(world, 7);
    const again = world.running().find(({ trialId }) => trialId === second!.trialId)!;
    const both = [
      { trialId: first!.trialId, attempt: 1, phase: 'ended' as const },
      { trialId: again.trialId, attempt: again.attempt, phase: 'running' as const },
    ];
    listed(world, ...both);
    expect(world.trial(first!.trialId).attempts[0]?.end).toMatchObject({ class: 'lost' });
    expect(world.trial(first!.trialId).attempts[1]).toMatchObject({ attempt: 1_001, end: null });
  });
});

describe('a ledger with a second history', () => {
  const knowing = (): World => {
    const world = new World();
    world.submit(sweepSpec());
    world.join(trainer('a', 2, { knowsTermIds: true }));
    return world;
  };

  it('takes no word of an attempt of the number that another term gave', () => {
    const world = knowing();
    const [first] = world.running();
    const before = freeze(world.state);
    const say = (termId: string | undefined) =>
      world.feed({
        type: 'reported',
        trainerId: 'a',
        report: {
          kind: 'epoch',
          sweepId: 's',
          trialId: first!.trialId,
          attempt: 1,
          ...(termId === undefined ? {} : { termId }),
          record: epochRecord(1, 0.5),
        },
        at: world.now,
      });
    for (const other of ['lost', '', undefined]) expect(say(other)).toEqual([]);
    expect(freeze(world.state)).toBe(before);
    expect(say('term1').map(({ type }) => type)).toContain('epoch_accepted');
    expect(JSON.stringify(world.log.slice(2))).not.toContain('termId');
  });

  it('holds what another term gave, says so once, and asks the box when it ends', () => {
    const world = knowing();
    const [first, second] = world.running();
    const running = { sweepId: 's', attempt: 1, phase: 'running' as const, ledgerId: 'ledger' };
    const list = () =>
      world.feed({
        type: 'attempts_listed',
        trainerId: 'a',
        attempts: [
          ...[first!, second!].map(({ trialId }) => ({ ...running, trialId, termId: 'term1' })),
          { ...running, trialId: first!.trialId, termId: 'lost' },
        ],
        at: world.now,
      });
    expect(list().map(({ type }) => type)).toEqual(['attempts_held']);
    expect(list()).toEqual([]);
    expect(world.state.notices).toMatchObject([
      { text: expect.stringMatching(/older copy.*t0001#1/) as string },
    ]);
    expect(world.state.trainers.get('a')?.held.size).toBe(1);
    expect(world.actions.filter(({ type }) => type === 'stop_attempt')).toEqual([]);
    world.actions.length = 0;
    const { trialId } = first!;
    const { train: energy } = epochRecord(1, 0);
    const end = { class: 'completed' as const, code: '', message: '', seconds: 1, energy };
    const report = { kind: 'ended' as const, sweepId: 's', trialId, attempt: 1, termId: 'lost', ...end };
    expect(world.feed({ type: 'reported', trainerId: 'a', report, at: world.now })).toEqual([]);
    expect(world.actions).toEqual([{ type: 'list_attempts', trainerId: 'a' }]);
  });

  it('keeps the numbers that it has given when it goes above a term', () => {
    const world = knowing();
    const [first, second] = world.running();
    world.started(first!);
    expect(outgrown(world, 7)).toHaveLength(1);
    expect(world.state).toMatchObject({ term: 8, termId: 'term1', copies: 1 });
    expect(world.running()).toEqual([first, second]);
    world.end(first!);
    expect(world.running().map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  it('never begins an attempt twice: what the box does not know is followed by another one', () => {
    const world = knowing();
    const [first, second] = world.running();
    world.started(first!);
    world.actions.length = 0;
    world.feed({ type: 'attempts_listed', trainerId: 'a', attempts: [], at: world.now });
    expect(world.trial(first!.trialId).attempts[0]?.end).toMatchObject({ class: 'lost' });
    expect(world.trial(second!.trialId).attempts[0]?.end).toMatchObject({ class: 'preempted' });
    const again = world.actions.filter(({ type }) => type === 'start_attempt');
    expect(again).toMatchObject([
      { attempt: 2, termId: 'term1', trialTermId: 'term1' },
      { attempt: 2, termId: 'term1', trialTermId: 'term1' },
    ]);
  });

  it('does not wait for an end that is gone', () => {
    const world = knowing();
    const [first] = world.running();
    const { trialId } = first!;
    const unheard = (termId: string, trainerId = 'a') =>
      world.feed({
        type: 'end_unheard',
        sweepId: 's',
        trialId,
        attempt: 1,
        termId,
        trainerId,
        at: world.now,
      });
    expect(unheard('lost')).toEqual([]);
    expect(unheard('term1', 'b')).toEqual([]);
    unheard('term1');
    expect(world.trial(trialId).attempts).toMatchObject([
      { end: { class: 'lost' } },
      { attempt: 2, end: null },
    ]);
    expect(unheard('term1')).toEqual([]);
  });
});

describe('reports that are gone', () => {
  it('are told, and an attempt whose end may be among them is not waited for', () => {
    const world = running();
    const [first, second] = world.running();
    for (const start of [first!, second!]) world.started(start);
    world.feed({ type: 'reports_missing', fromSeq: 5, toSeq: 9, at: world.now });
    expect(world.state.notices[0]?.text).toMatch(/5 to 9/);
    world.epoch(second!, epochRecord(3, 0.5));
    const ended = [first!, second!].map(({ trialId }) => ({ trialId, attempt: 1, phase: 'ended' as const }));
    listed(world, ...ended);
    expect(world.trial(first!.trialId).attempts[0]?.end).toMatchObject({ class: 'lost' });
    // Its words come: so will the last one.
    expect(world.trial(second!.trialId).attempts[0]?.end).toBeNull();
    const folded = initialState();
    for (const event of world.log) fold(folded, event);
    expect(freeze(folded)).toBe(freeze(world.state));
  });

  it('are nothing to an empty ledger', () => {
    const world = new World();
    expect(world.feed({ type: 'reports_missing', fromSeq: 1, toSeq: 9, at: 1 })).toEqual([]);
  });
});
