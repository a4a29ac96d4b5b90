/** Search methods and stopping rules of users: in threads of their own, recorded, replayed, and failing alone. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import { Replay, type LedgerEvent, type SweepSpec } from '../../../services/coordinator/core/index.js';
import { fold } from '../../../services/coordinator/core/fold/index.js';
import { initialState } from '../../../services/coordinator/core/state.js';
import { ModuleFolder, requireModules, withModules } from '../../../services/coordinator/modules/index.js';
import { Sandbox } from '../../../services/coordinator/modules/sandbox.js';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';
import { epochRecord, sweepSpec, trainer, World } from '../../support/core.js';

const root = mkdtempSync(join(tmpdir(), 'wattsweep-modules-'));
const dir = join(root, 'modules');
mkdirSync(dir);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const written = (name: string, source: string): string => {
  writeFileSync(join(dir, name), source);
  return name;
};

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return error instanceof WattsweepError ? error.code : String(error);
  }
  return 'none';
};

const ruleSpec = (source: string, over: Partial<SweepSpec> = {}, name = 'rule.mjs'): SweepSpec => {
  const ref = { module: written(name, source), hash: '', options: { bound: 0.5 } };
  return withModules(sweepSpec({ stopping: { rule: 'module', ref }, ...over }), new ModuleFolder(dir));
};

const searchSpec = (source: string, over: Partial<SweepSpec> = {}): SweepSpec => {
  const ref = { module: written('search.mjs', source), hash: '', options: {} };
  const search = { method: 'module' as const, ref, trials: 3, caseWeights: [1] };
  return withModules(sweepSpec({ search, ...over }), new ModuleFolder(dir));
};

const THRESHOLD = `
export const init = () => ({ seen: 0 });
export const absorb = (state) => { state.seen++; };
export const judge = (state, { value, epoch, history, recent }, { options }) => [{
  action: value < options.bound ? 'stop' : 'continue',
  value, n: state.seen, threshold: options.bound,
  reason: 'report ' + state.seen + ' of the sweep, ' + history(9).length + ' of the trial, last ' + recent(1)[0] + ' at ' + epoch,
}];
`;

function begin(spec: SweepSpec, slots = 2): World {
  const world = new World();
  world.submit(spec);
  world.join(trainer('a', slots));
  return world;
}

function replayed(log: readonly LedgerEvent[]): {
  decisions: number;
  difference: ReturnType<Replay['finish']>;
} {
  const replay = new Replay('s');
  for (const event of log) replay.take(event);
  const difference = replay.finish();
  return { decisions: replay.decisions, difference };
}

describe('a rule of a user', () => {
  it('decides like any other: told in the order of arrival, recorded with its hash, explained, replayed', () => {
    const spec = ruleSpec(THRESHOLD);
    const world = begin(spec);
    const [one, two] = world.running();
    world.epoch(one!, epochRecord(1, 0.9));
    world.epoch(two!, epochRecord(1, 0.4));
    expect(world.trial(one!.trialId).decisions).toMatchObject([{ action: 'continue', n: 1 }]);
    const hash = spec.stopping.rule === 'module' ? spec.stopping.ref.hash : '';
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(world.trial(two!.trialId)).toMatchObject({
      state: 'stopped',
      decisions: [
        {
          rule: `rule.mjs@${hash.slice(0, 8)}`,
          action: 'stop',
          n: 2,
          threshold: 0.5,
          reason: 'report 2 of the sweep, 1 of the trial, last 0.4 at 1',
        },
      ],
    });
    expect(replayed(world.log)).toEqual({ decisions: 2, difference: null });
  });

  it('is told anew after a restart, and never asked by the fold', () => {
    const world = begin(ruleSpec(THRESHOLD));
    const [one, two] = world.running();
    world.epoch(one!, epochRecord(1, 0.9));
    world.epoch(two!, epochRecord(1, 0.8));
    const again = new World();
    const state = initialState();
    for (const event of world.log) fold(state, event);
    expect(state).toEqual(world.state);
    Object.assign(again, { state, now: world.now });
    again.epoch(two!, epochRecord(2, 0.7));
    expect(again.trial(two!.trialId).decisions.at(-1)).toMatchObject({ n: 3 });
  });

  it.each([
    ['throws', `throw new Error('no such thing')`, /failed: Error: no such thing/],
    ['answers garbage', `return [{ action: 'explode', reason: 'x' }]`, /the action "explode"/],
    ['gives no reason', `return [{ action: 'stop' }]`, /without a reason/],
    ['answers a promise', `return Promise.resolve([])`, /promise/],
    [
      'asks for chance',
      `return [{ action: Math.random() < 2 ? 'stop' : 'continue', reason: 'x' }]`,
      /Math.random is not there/,
    ],
    [
      'asks for the time',
      `return [{ action: 'stop', reason: String(new Date()) }]`,
      /the clock is not there/,
    ],
    ['ends its process', `process.exit(0)`, /did not answer/],
    ['never ends', `for (;;);`, /did not answer within 3000 ms/],
  ])('that %s pauses its sweep, says so, and disturbs no other', (_, body, said) => {
    const world = begin(ruleSpec(`export const judge = (state, seen, context) => { ${body} };`), 1);
    const [start] = world.running();
    world.epoch(start!, epochRecord(1, 0.9));
    const sweep = world.state.sweeps.get('s')!;
    expect(sweep).toMatchObject({ status: 'paused', reason: expect.stringMatching(said) as string });
    expect(world.trial(start!.trialId).decisions).toMatchObject([
      { action: 'continue', reason: sweep.reason },
    ]);
    expect(world.actions.at(-1)).toMatchObject({ type: 'stop_attempt', mode: 'pause' });
    world.end(start!, 'stopped');
    // The other sweep takes the slot; the paused one keeps what it has, and goes on when it is told to.
    world.submit(sweepSpec(), 'other');
    expect(world.running()).toMatchObject([{ sweepId: 'other' }]);
    for (const control of ['resume'] as const)
      world.feed({ type: 'control', sweepId: 's', control, at: world.now });
    expect(world.state.sweeps.get('s')).toMatchObject({ status: 'running', reason: '' });
  });

  it('that is gone or has changed pauses its sweep, and replay refuses', () => {
    const spec = ruleSpec(THRESHOLD);
    const ref = { module: 'rule.mjs', hash: 'f'.repeat(64), options: {} };
    const changed: SweepSpec = { ...spec, stopping: { rule: 'module', ref } };
    const world = begin(changed);
    world.epoch(world.running()[0]!, epochRecord(1, 0.9));
    expect(world.state.sweeps.get('s')).toMatchObject({
      status: 'paused',
      reason: expect.stringContaining('put rule.mjs back as it was') as string,
    });
    expect(codeOf(() => requireModules(changed))).toBe('MODULE_MISSING');
    expect(codeOf(() => requireModules(spec))).toBe('none');
  });

  it('that broke down in one sweep goes on in another, told anew of what it had seen there', () => {
    const spec = ruleSpec(`
      export const init = () => ({ seen: 0 });
      export const absorb = (state) => { state.seen++; };
      export const judge = (state, { value }) => {
        if (value > 2) for (;;);
        return [{ action: 'continue', n: state.seen, reason: 'seen' }];
      };`);
    const world = new World();
    world.submit(spec, 'good');
    world.submit(spec, 'bad');
    world.join(trainer('a', 2));
    const [good, bad] = ['good', 'bad'].map((id) => world.running().find(({ sweepId }) => sweepId === id)!);
    world.epoch(good!, epochRecord(1, 0.9));
    world.epoch(bad!, epochRecord(1, 3));
    expect(world.state.sweeps.get('bad')?.status).toBe('paused');
    world.epoch(good!, epochRecord(2, 0.9));
    expect(world.state.sweeps.get('good')?.status).toBe('running');
    expect(world.trial(good!.trialId, 'good').decisions.at(-1)).toMatchObject({ n: 2 });
  });

  it('that does not answer the same twice is found by replay', () => {
    const moody = `let asked = 0; export const judge = () => [{ action: 'continue', reason: 'asked ' + ++asked }];`;
    const world = begin(ruleSpec(moody));
    world.epoch(world.running()[0]!, epochRecord(1, 0.9));
    expect(replayed(world.log).difference).toMatchObject({
      message: 'reason: recorded asked 1, recomputed asked 2',
    });
  });
});

describe('a search of a user', () => {
  const count = `export const propose = ({ position, sweep, results, options, seed }) =>
    ({ batch_size: sweep[0].domain.values[position] });`;

  it('proposes the points, and they are recorded', () => {
    const world = begin(searchSpec(count), 3);
    expect(world.running().map(({ parameters }) => parameters['batch_size'])).toEqual([32, 64, 128]);
  });

  it.each([
    ['a value that is not of the space', `({ batch_size: 7 })`, 'batch_size cannot be 7'],
    ['a point that ran before', `({ batch_size: 32 })`, 'ran before'],
    [
      'a parameter that does not vary',
      `({ batch_size: position === 0 ? 32 : 64, depth: 3 })`,
      'depth does not vary',
    ],
    ['nothing at all', `7`, 'propose answered 7'],
  ])('that answers %s pauses its sweep', (_, answer, said) => {
    const world = begin(searchSpec(`export const propose = ({ position }) => ${answer};`), 3);
    expect(world.state.sweeps.get('s')).toMatchObject({
      status: 'paused',
      reason: expect.stringContaining(said) as string,
    });
  });

  it('may end the search', () => {
    const world = begin(searchSpec(`export const propose = () => null;`));
    expect(world.state.sweeps.get('s')).toMatchObject({ status: 'completed' });
  });
});

describe('the folder of modules', () => {
  it('lets nothing run that does not lie in it, and nothing at all without one', () => {
    const spec = (module: string): SweepSpec =>
      sweepSpec({ stopping: { rule: 'module', ref: { module, hash: '', options: {} } } });
    const folder = new ModuleFolder(dir);
    writeFileSync(join(root, 'outside.mjs'), THRESHOLD);
    symlinkSync(join(root, 'outside.mjs'), join(dir, 'link.mjs'));
    written('rule.txt', THRESHOLD);
    written('broken.mjs', 'export const judge = (');
    written('imports.mjs', `import './other.mjs'; export const judge = () => [];`);
    written('nothing.mjs', 'export const propose = 3;');
    for (const name of [
      '../outside.mjs',
      join(root, 'outside.mjs'),
      ...['link.mjs', 'rule.txt', 'broken.mjs', 'imports.mjs', 'nothing.mjs', 'missing.mjs'],
    ])
      expect([name, codeOf(() => withModules(spec(name), folder))]).toEqual([name, 'MODULE_INVALID']);
    expect(codeOf(() => withModules(spec('rule.mjs'), null))).toBe('MODULE_NOT_ALLOWED');
    expect(codeOf(() => new ModuleFolder(join(root, 'none')))).toBe('FILE_UNREADABLE');
  });

  it('provides what lies in folders below, and what is put back later', () => {
    const below = join(root, 'below');
    mkdirSync(join(below, 'team', 'folder.mjs'), { recursive: true });
    const text = `export const judge = () => [{ action: 'continue', reason: 'from below' }];`;
    writeFileSync(join(below, 'team', 'rule.mjs'), text);
    const hash = createHash('sha256').update(text).digest('hex');
    const stopping = { rule: 'module' as const, ref: { module: 'team/rule.mjs', hash, options: {} } };
    const folder = new ModuleFolder(below);
    expect(codeOf(() => requireModules(sweepSpec({ stopping })))).toBe('MODULE_MISSING');
    folder.provideAll();
    expect(codeOf(() => requireModules(sweepSpec({ stopping })))).toBe('none');
    rmSync(below, { recursive: true });
    expect(codeOf(() => folder.provideAll())).toBe('none');
  });

  it('has examples that work', () => {
    const folder = new ModuleFolder(new URL('../../../examples/modules/', import.meta.url).pathname);
    const file = `
name: s
command: [x]
objective: { metric: m, goal: maximize }
max_epochs: 8
sweep: { lr: { min: 0.001, max: 1, scale: log }, kind: [a, b, c] }
search: { module: climb.mjs, trials: 6 }
stopping: { module: ./plateau.mjs, options: { epochs: 2 } }
`;
    const spec = withModules(parseSweepFile(file).spec, folder);
    const world = new World();
    world.submit({ ...spec, objective: { ...spec.objective, metric: 'val_accuracy' } });
    world.join(trainer('a', 2, { recipes: ['command'] }));
    while (world.running().length > 0) {
      const [start] = world.running();
      const epoch = (world.trial(start!.trialId).epochs.at(-1)?.epoch ?? 0) + 1;
      const lr = Number(start!.parameters['lr']);
      world.epoch(start!, epochRecord(epoch, (1 - Math.abs(Math.log10(lr) + 1)) * Math.min(epoch, 3)));
      const trial = world.trial(start!.trialId);
      if (trial.endedAt !== null || epoch === 8) world.end(start!, epoch === 8 ? 'completed' : 'stopped');
    }
    const sweep = world.state.sweeps.get('s')!;
    expect(sweep).toMatchObject({ status: 'completed', reason: 'every trial has ended' });
    expect([...sweep.trials.values()].filter(({ state }) => state === 'stopped').length).toBeGreaterThan(0);
    expect(replayed(world.log).difference).toBeNull();
  });
});

describe('the thread of a module', () => {
  it('keeps what it breaks to itself, and starts again after it was ended', () => {
    const sandbox = new Sandbox(
      `export const propose = ({ end }) => { globalThis.JSON.x = 1; Array.prototype.map = null; if (end) for (;;); return process.env; };`,
      { callTimeoutMs: 2_000 },
    );
    expect(sandbox.propose({ end: false })).toEqual({});
    expect(() => sandbox.propose({ end: true })).toThrow('did not answer within 2000 ms');
    expect(sandbox.propose({ end: false })).toEqual({});
    expect([1].map((x) => x)).toEqual([1]);
    sandbox.close();
  });

  it('forgets the sweep that was asked longest ago, and is told anew when it is asked again', () => {
    const spec = ruleSpec(THRESHOLD);
    const world = new World();
    const ids = Array.from({ length: 40 }, (_, i) => `s${i}`);
    for (const id of ids) world.submit(spec, id);
    world.join(trainer('a', 40));
    const starts = ids.map((id) => world.running().find(({ sweepId }) => sweepId === id)!);
    for (const epoch of [1, 2]) for (const start of starts) world.epoch(start, epochRecord(epoch, 0.9));
    for (const { sweepId, trialId } of starts)
      expect(world.trial(trialId, sweepId).decisions.map(({ n }) => n)).toEqual([1, 2]);
    const sandbox = new Sandbox(THRESHOLD);
    const sessions = ids.map(() => sandbox.open({}));
    expect(sessions.filter((session) => sandbox.isOpen(session))).toEqual(sessions.slice(8));
    sandbox.close();
  });
});
