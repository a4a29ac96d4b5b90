import { existsSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { Attempt } from '../../../services/trainer/attempts/attempt.js';
import { Attempts } from '../../../services/trainer/attempts/attempts.js';
import { readBeginning } from '../../../services/trainer/attempts/beginning.js';
import { AttemptStore } from '../../../services/trainer/attempts/store.js';
import { attemptFiles, trainerLayout } from '../../../services/trainer/layout.js';
import type { Outgoing } from '../../../services/trainer/nats/report-publisher.js';
import type { ProgramNeeds } from '../../../services/trainer/programs/needs.js';
import { AttemptDevices } from '../../../services/trainer/attempts/devices.js';
import { DeviceMemory } from '../../../services/trainer/slots/device-memory.js';
import { PowerLimits } from '../../../services/trainer/power/limits.js';
import { IdleWatts } from '../../../services/trainer/power/idle.js';
import { PowerMeter } from '../../../services/trainer/power/meter.js';
import { StatedDevices } from '../../../services/trainer/power/stated.js';
import { planSlots } from '../../../services/trainer/slots/inventory.js';
import { Slot } from '../../../services/trainer/slots/slot.js';

const LEDGER = 'ledger-1';
const key = { sweepId: 'sweep', trialId: 't1', attempt: 1, termId: '' };

let dataDir: string;
let attempts: Attempts;
let meter: PowerMeter;
const log = pino({ level: 'silent' });
let told: string[];
let published: Outgoing[];
let slot: Slot;
/** What a program needs is put onto the box. */
let prepare: (needs: ProgramNeeds, signal: AbortSignal) => Promise<void>;

const request = (more: Partial<StartAttemptRequest> = {}): StartAttemptRequest => ({
  fence: { ledgerId: LEDGER, term: 1, termId: '' },
  key,
  slotId: 'cpu',
  recipe: 'resnet-cifar10',
  command: [],
  parametersJson: '{}',
  maxEpochs: 3,
  seed: 1,
  repeat: 1,
  objectiveMetric: 'val_accuracy',
  resumeFrom: '',
  furtherSlotIds: [],
  trialTermId: '',
  setup: undefined,
  code: undefined,
  ...more,
});
const files = () => attemptFiles(trainerLayout(dataDir, 'box').attemptDir(LEDGER, key));
/** What stands behind what was accepted. */
const spoolLines = (): unknown[] =>
  readFileSync(files().spool, 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { line: { type: string } }).line)
    .filter(({ type }) => type !== 'accepted');

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-accepting-'));
  told = [];
  published = [];
  prepare = () => Promise.resolve();
  meter = new PowerMeter({ sources: [], noSourceReason: 'none', estimateWatts: null });
  attempts = new Attempts({
    layout: trainerLayout(dataDir, 'box'),
    trainerId: 'box',
    recipes: ['resnet-cifar10'],
    allowCommands: ['python3', 'docker'],
    runnerCommand: ['none'],
    stopGraceMs: 1_000,
    warmIdleMs: 0,
    lostAfterMs: 1_000,
    meter,
    devices: new AttemptDevices({
      idle: new IdleWatts(meter, () => 0),
      memory: new DeviceMemory({ used: () => null, waitMs: 50 }),
      powerLimits: new PowerLimits(join(dataDir, 'limits.json'), null, log),
    }),
    statedDevices: new StatedDevices(),
    publish: (outgoing) => published.push(outgoing),
    onStep: () => undefined,
    checkpoints: { offer: () => undefined, ended: () => undefined },
    fetchCheckpoint: () => Promise.resolve(null),
    prepareProgram: (needs, signal) => prepare(needs, signal),
    log,
  });
  const [info] = planSlots([], { slots: { cpu: 1 }, threadsPerSlot: 1 });
  slot = {
    info,
    offered: true,
    holder: null,
    start: () => Promise.resolve(void told.push('start')),
    stop: (_attempt: unknown, mode: string) => Promise.resolve(void told.push(mode)),
  } as unknown as Slot;
  await attempts.recover([slot], new Map());
});
afterEach(async () => {
  attempts.close();
  meter.close();
  await rm(dataDir, { recursive: true, force: true });
});

describe('a start', () => {
  it('is repeated: the attempt is written before the first answer, and begins once', () => {
    expect(attempts.start(request(), LEDGER, false)).toBe(true);
    expect(existsSync(files().accepted)).toBe(true);
    expect(attempts.start(request(), LEDGER, false)).toBe(false);
    expect(told).toEqual(['start']);
  });

  it('is refused: nobody is told that the attempt runs', () => {
    expect(() => attempts.start(request({ parametersJson: '[]' }), LEDGER, false)).toThrow('no JSON object');
    expect(slot.holder).toBeNull();
    expect(attempts.start(request(), LEDGER, false)).toBe(true);
  });

  it('is refused while an earlier attempt of the trial runs here, whatever slot is free', async () => {
    const other = Object.create(slot, {
      info: { value: { ...slot.info, slotId: 'other' } },
      holder: { value: null, writable: true },
    }) as Slot;
    await attempts.recover([slot, other], new Map());
    attempts.start(request(), LEDGER, false);
    const second = request({ key: { ...key, attempt: 2 }, slotId: 'other' });
    expect(() => attempts.start(second, LEDGER, false)).toThrow(
      expect.objectContaining({
        code: 'SLOT_BUSY',
        message: expect.stringContaining('sweep/t1#1') as string,
      }),
    );
    expect(attempts.start(second, 'ledger-2', false)).toBe(true);
  });

  it('is another one when another term gave the number, and has other checkpoints when another made the trial', async () => {
    const other = Object.create(slot, {
      info: { value: { ...slot.info, slotId: 'other' } },
      holder: { value: null, writable: true },
    }) as Slot;
    await attempts.recover([slot, other], new Map());
    const of = (termId: string, trialTermId: string, slotId: string) =>
      request({ key: { ...key, termId }, trialTermId, slotId });
    expect(attempts.start(of('lost', 'lost', 'cpu'), LEDGER, false)).toBe(true);
    expect(attempts.start(of('lost', 'lost', 'other'), LEDGER, false)).toBe(false);
    expect(() => attempts.start(of('now', 'lost', 'other'), LEDGER, false)).toThrow('still runs');
    expect(attempts.start(of('now', 'now', 'other'), LEDGER, false)).toBe(true);
    const [first, second] = attempts.list();
    expect(first!.dir).not.toBe(second!.dir);
    expect(first!.accepted.spec.checkpointDir).not.toBe(second!.accepted.spec.checkpointDir);
    expect([first!.key.termId, second!.key.termId]).toEqual(['lost', 'now']);
    expect(await attempts.stop({ ...key, termId: 'now' }, LEDGER, 'cancel', 'test')).toBe(true);
    expect(await attempts.stop({ ...key, termId: 'other' }, LEDGER, 'cancel', 'test')).toBe(false);
    expect(() => attempts.start(of('../x', '', 'cpu'), LEDGER, false)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    );
  });

  it('is stopped at once', async () => {
    attempts.start(request(), LEDGER, false);
    expect(await attempts.stop(key, LEDGER, 'cancel', 'test')).toBe(true);
    expect(told).toEqual(['start', 'cancel']);
  });

  it('is drained at once', async () => {
    attempts.start(request(), LEDGER, false);
    await attempts.preemptAll();
    expect(told).toEqual(['start', 'pause']);
  });
});

describe('a program that needs something of the box', () => {
  const program = (more: object = {}) =>
    request({
      recipe: 'command',
      command: ['python3', 'x.py'],
      setup: {
        workdir: '',
        wrap: [],
        requires: [{ path: '/data', sha256: '' }],
        collect: undefined,
        ...more,
      },
    });
  const ends = () =>
    published.flatMap(({ report: { fact } }) => (fact?.$case === 'ended' ? [fact.value] : []));

  it('begins when it is there', async () => {
    let arrive: () => void = () => undefined;
    prepare = () => new Promise((resolve) => (arrive = resolve));
    attempts.start(program(), LEDGER, false);
    await sleep(1);
    expect(told).toEqual([]);
    arrive();
    await expect.poll(() => told).toEqual(['start']);
  });

  it('is refused with the sentence where it is not; the slot is free then', async () => {
    prepare = () =>
      Promise.reject(new WattsweepError('REQUIREMENT_MISSING', 'This box does not have /data.'));
    attempts.start(program(), LEDGER, false);
    await expect.poll(() => ends()).toHaveLength(1);
    expect(ends()[0]).toMatchObject({
      class: AttemptEndClass.REFUSED,
      code: 'REQUIREMENT_MISSING',
      message: 'This box does not have /data.',
    });
    expect([told, slot.holder]).toEqual([[], null]);
  });

  it('is waited for while NATS is away; a full disk is told at once', async () => {
    let tries = 0;
    prepare = () =>
      Promise.reject(new Error(++tries === 1 ? 'the connection to NATS broke' : 'ENOSPC: no space left'));
    attempts.start(program(), LEDGER, false);
    await expect.poll(() => ends(), { timeout: 15_000 }).toHaveLength(1);
    expect(tries).toBe(2);
    expect(ends()[0]).toMatchObject({ class: AttemptEndClass.CRASHED, code: 'DISK_FULL' });
  });

  it('may be stopped while it waits', async () => {
    prepare = (_needs, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
      );
    attempts.start(program(), LEDGER, false);
    await sleep(1);
    expect(await attempts.stop(key, LEDGER, 'cancel', 'test')).toBe(true);
    expect(ends()).toMatchObject([{ class: AttemptEndClass.STOPPED }]);
    expect([told, slot.holder]).toEqual([[], null]);
  });

  it('is what the box allows: of a wrapper, the wrapper', () => {
    const start =
      (wrap: string[], command = ['train']) =>
      () =>
        attempts.start({ ...program({ wrap, requires: [] }), command }, LEDGER, false);
    expect(start(['nice', '{command}'], ['python3'])).toThrow("does not run the program 'nice'");
    expect(start(['{command}', '-v'])).toThrow("does not run the program 'train'");
    expect(start(['docker', 'run', '{command}'])()).toBe(true);
  });
});

describe('an attempt on several slots', () => {
  const gpu = (index: number): Slot => {
    const uuid = `GPU-${String(index)}`;
    const [info] = planSlots([{ id: uuid, model: 'A', memoryBytes: 8e9 }], {
      slots: 'auto',
      threadsPerSlot: 2,
    });
    const events = (word: string) => () => Promise.resolve(void told.push(`gpu${String(index)} ${word}`));
    return {
      info: { ...info, slotId: `gpu${String(index)}` },
      offered: true,
      holder: null,
      start: events('start'),
      stop: events('stop'),
    } as unknown as Slot;
  };
  const both = request({ slotId: 'gpu1', furtherSlotIds: ['gpu0'] });

  it('has the devices of all, runs under the first, and frees all when it ends', async () => {
    const slots = [gpu(0), gpu(1), gpu(2)];
    await attempts.recover(slots, new Map());
    expect(attempts.start(both, LEDGER, false)).toBe(true);
    expect(told).toEqual(['gpu1 start']);
    expect(slots.map(({ holder }) => holder?.name ?? null)).toEqual(['sweep/t1#1', 'sweep/t1#1', null]);
    const { environment, metered, spec } = attempts.list()[0]!.accepted;
    expect(environment['CUDA_VISIBLE_DEVICES']).toBe('GPU-1,GPU-0');
    expect(metered.map(({ id }) => id)).toEqual(['GPU-1', 'GPU-0']);
    expect(spec.device).toMatchObject({ uuids: ['GPU-1', 'GPU-0'], threads: 4 });
    const other = request({ key: { ...key, trialId: 't2' }, slotId: 'gpu2', furtherSlotIds: ['gpu0'] });
    expect(() => attempts.start(other, LEDGER, false)).toThrow('Slot gpu0 runs');
    await attempts.supervisorGone(slots[0]!);
    expect(slots[0]!.holder).not.toBeNull();
    await attempts.stop(key, LEDGER, 'stop', 'test');
    expect(told).toEqual(['gpu1 start', 'gpu1 stop']);
    await attempts.supervisorGone(slots[1]!);
    expect(slots.map(({ holder }) => holder)).toEqual([null, null, null]);
  });

  it('holds all of them again after a restart of the service', async () => {
    await attempts.recover([gpu(0), gpu(1)], new Map());
    attempts.start(both, LEDGER, false);
    const { dir } = attempts.list()[0]!;
    const next = new Attempts(attempts['options']);
    const slots = [gpu(0), gpu(1)];
    await next.recover(slots, new Map([[slots[1]!, dir]]));
    expect(slots.map(({ holder }) => holder?.name)).toEqual(['sweep/t1#1', 'sweep/t1#1']);
    next.close();
  });
});

describe('a box whose GPUs were divided otherwise', () => {
  it('does not start a second attempt on a GPU that has one of before', async () => {
    const gpus = [0, 1].map((index) => ({ id: `GPU-${String(index)}`, model: 'X', memoryBytes: 8e9 }));
    const plan = { slots: 'auto' as const, threadsPerSlot: 1 };
    const make = (info: object, offered: boolean) =>
      ({ info, offered, holder: null, start: () => Promise.resolve() }) as unknown as Slot;
    const [whole] = planSlots(gpus, plan);
    await attempts.recover([make(whole!, true)], new Map());
    attempts.start(request({ slotId: 'gpu0' }), LEDGER, false);
    const { dir } = attempts.list()[0]!;
    const next = new Attempts(attempts['options']);
    const former = make({ ...whole, device: { kind: 'cpu', uuids: [] }, metered: [] }, false);
    const parts = planSlots(gpus, { ...plan, slotsPerDevice: 2 }).map((info) => make(info, true));
    await next.recover([...parts, former], new Map([[former, dir]]));
    const on = (slotId: string) => request({ key: { ...key, trialId: slotId }, slotId });
    expect(() => next.start(on('gpu0-1'), LEDGER, false)).toThrow('Slot gpu0-1 runs sweep/t1#1.');
    expect(next.start(on('gpu1-1'), LEDGER, false)).toBe(true);
    next.close();
  });
});

it('an attempt that has ended while it waited for its slot changes nothing on the devices', async () => {
  const events = { onNews: () => undefined, onRefused: () => undefined, onGone: () => undefined };
  const options = { slotDir: '', supervisorCommand: ['none'], lostAfterMs: 1, stopGraceMs: 1 };
  const [info] = planSlots([], { slots: { cpu: 1 }, threadsPerSlot: 1 });
  await new Slot(info!, options, events).start({ over: true } as unknown as Attempt, [], () =>
    Promise.reject(new Error('made ready')),
  );
});

describe('a note that was cut off', () => {
  const half = '{"atUnixMs":1,"monotonicMs":1,"line":{"type":"acc';

  it('by a full disk: the next one stands on a line of its own, and the attempt has not begun', async () => {
    const store = new AttemptStore(trainerLayout(dataDir, 'box'));
    attempts.start(request(), LEDGER, false);
    await appendFile(files().spool, half);
    store.resumeFrom(attempts.list()[0]!, '/checkpoint', 2);
    const beginning = readBeginning(files());
    expect([beginning?.begun, beginning?.accepted.spec.resumeFrom]).toEqual([false, '/checkpoint']);
  });

  it('with its service is gone before a supervisor writes behind it', async () => {
    attempts.start(request(), LEDGER, false);
    const before = readFileSync(files().spool, 'utf8');
    await appendFile(files().spool, half);
    slot.holder = null;
    const next = new Attempts(attempts['options']);
    await next.recover([slot], new Map());
    expect([told, readFileSync(files().spool, 'utf8')]).toEqual([['start', 'start'], before]);
    next.close();
  });
});

describe('an attempt that nobody watches', () => {
  it('has one end, though two find it, and half a line before it', async () => {
    attempts.start(request(), LEDGER, false);
    await appendFile(files().spool, '{"atUnixMs":1,"monotonicMs":1,"line":{"type":"step","epoch":1,"st');
    attempts.news(slot.holder!.dir);
    await Promise.all([attempts.supervisorGone(slot), attempts.refused(slot.holder!.dir, 'busy')]);
    expect(spoolLines()).toEqual([expect.objectContaining({ type: 'end', class: 'crashed' })]);
    expect(published.map(({ id, report }) => [id, report.fact?.$case])).toEqual([
      ['ledger-1/sweep/t1#1:2', 'ended'],
    ]);
    expect(slot.holder).toBeNull();
    expect(await attempts.stop(key, LEDGER, 'stop', 'late')).toBe(false);
  });
});

describe('an attempt that version 0.1 accepted', () => {
  /** Lays the attempt that has just been accepted out as that version did, and starts the service anew. */
  async function upgrade(spool: string, published: object | null): Promise<Attempts> {
    attempts.start(request(), LEDGER, false);
    const [{ accepted }] = attempts.list() as [Attempt];
    attempts.close();
    await rm(files().spool);
    const former = attemptFiles(trainerLayout(dataDir, 'box').formerAttemptDir(LEDGER, key));
    await mkdir(dirname(former.spool), { recursive: true });
    await writeFile(former.accepted, JSON.stringify(accepted));
    await writeFile(former.run!, JSON.stringify({ pid: 1, token: 'X=1', startedMonotonicMs: 1, bootId: '' }));
    await writeFile(former.spool, spool);
    if (published !== null) await writeFile(former.published, JSON.stringify(published));
    slot.holder = null;
    const next = new Attempts(attempts['options']);
    await next.recover([slot], new Map());
    return next;
  }
  const line = (value: object): string => `${JSON.stringify({ atUnixMs: 1, monotonicMs: 2, line: value })}\n`;
  const epoch = line({ type: 'epoch', epoch: 1, step: 1, metrics: {} });
  const end = line({ type: 'end', class: 'completed', code: '', message: '' });

  it('is taken up: what it said and how it ended is told', async () => {
    const next = await upgrade(epoch, null);
    await expect
      .poll(() => published.map(({ id, report }) => [id, report.fact?.$case]))
      .toEqual([
        ['ledger-1/sweep/t1#1:1', 'epoch'],
        ['ledger-1/sweep/t1#1:2', 'ended'],
      ]);
    published[1]!.onAcknowledged();
    expect(next.list()).toMatchObject([{ published: true, run: { token: 'X=1' } }]);
    expect(next.start(request(), LEDGER, false)).toBe(false);
    next.close();
    const after = new Attempts(attempts['options']);
    await after.recover([slot], new Map());
    expect([published.length, after.open.length]).toEqual([2, 0]);
    after.close();
  });

  it('is not told again when it was told', async () => {
    const next = await upgrade(epoch + end, { acknowledgedLine: 2, epoch: 1, complete: true });
    expect(published).toEqual([]);
    expect(next.list()).toMatchObject([{ published: true, epoch: 1 }]);
    expect(next.start(request(), LEDGER, false)).toBe(false);
    next.close();
  });
});

describe('a start that was cut off', () => {
  it('is none: the attempt is accepted when the command comes again', async () => {
    await mkdir(dirname(files().spool), { recursive: true });
    await writeFile(files().spool, '{"atUnixMs":1,"monot');
    expect(attempts.start(request(), LEDGER, false)).toBe(true);
    expect(told).toEqual(['start']);
  });

  it('is refused where a later version has accepted it', async () => {
    await mkdir(dirname(files().spool), { recursive: true });
    const later = { type: 'accepted', attempt: { version: 2 } };
    await writeFile(files().spool, `${JSON.stringify({ atUnixMs: 1, monotonicMs: 1, line: later })}\n`);
    expect(() => attempts.start(request(), LEDGER, false)).toThrow(
      expect.objectContaining({ code: 'BOX_UNFIT' }),
    );
    expect(slot.holder).toBeNull();
  });
});

describe('a spool that cannot be read', () => {
  it('is read again: the end comes through', async () => {
    attempts.start(request(), LEDGER, false);
    // A folder in its place gives EISDIR.
    await rm(files().spool);
    await mkdir(files().spool);
    attempts.news(slot.holder!.dir);
    await sleep(100);
    await rmdir(files().spool);
    await writeFile(files().spool, '');
    await attempts.supervisorGone(slot);
    expect(published.map(({ report }) => report.fact?.$case)).toEqual(['ended']);
    expect(slot.holder).toBeNull();
  });
});
