import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { AttemptEnded, Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { StopMode, type StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { identify, isAlive } from '../../../services/trainer/host/process.js';
import { trainerLayout } from '../../../services/trainer/layout.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { runnerOf } from '../../support/spool.js';
import {
  connectNats,
  createStreams,
  fakeRunner,
  publishedReports,
  startServiceProcess,
  trainerClient,
  trainerPrograms,
  type ServiceProcess,
  terminate,
} from '../../support/trainer.js';

const TTL_MS = 2_000;
const GRACE_MS = 400;
const runner = fileURLToPath(new URL('../../../services/trainer/runner/main.ts', import.meta.url));
const realRunner = [process.execPath, '--import', import.meta.resolve('tsx'), runner];
/** Start/stop cycles of the command recipe. */
const CYCLES = Number(process.env.WATTSWEEP_TEST_CYCLES ?? 20);

interface Run {
  readonly pid: number;
  readonly startTicks: number;
  readonly token: string;
}

interface Seen {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly fds: number;
}

describe('a warm runner', () => {
  let nats: TestNats;
  let connection: NatsConnection;
  let dataDir: string;
  let service: ServiceProcess;
  let client: ReturnType<typeof trainerClient>;

  const start = async (options: object = {}): Promise<void> => {
    const { supervisor } = await trainerPrograms();
    service = await startServiceProcess({
      natsUrl: nats.url,
      trainerId: 'box',
      dataDir,
      slots: { cpu: 1 },
      trainerTtlMs: TTL_MS,
      lostAfterMs: 20_000,
      stopGraceMs: GRACE_MS,
      meterPeriodMs: 50,
      logLevel: 'info',
      allowCommands: [process.execPath],
      runnerCommand: fakeRunner,
      supervisorCommand: [process.execPath, supervisor],
      ...options,
    });
    client = trainerClient(service.grpcAddress);
  };
  const reportsOf = async (trialId: string): Promise<Report[]> =>
    (await publishedReports(connection)).filter(({ fact }) => fact?.value.key?.trialId === trialId);
  const endOf = async (trialId: string): Promise<AttemptEnded> => {
    const find = async () =>
      (await reportsOf(trialId)).flatMap(({ fact }) => (fact?.$case === 'ended' ? [fact.value] : []))[0];
    await expect.poll(find, { timeout: 20_000, interval: 10 }).toBeDefined();
    return (await find())!;
  };
  const spoke = (trialId: string) =>
    expect
      .poll(async () => (await reportsOf(trialId)).length, { timeout: 10_000, interval: 10 })
      .toBeGreaterThan(0);
  const attemptDir = (trialId: string): string =>
    trainerLayout(dataDir, 'box').attemptDir('ledger-1', { sweepId: 'sweep', trialId, attempt: 1 });
  const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
  const runOf = (trialId: string): Run => runnerOf(attemptDir(trialId));
  const slotFile = (slot = 'cpu'): string => join(dataDir, 'trainers', 'box', 'slots', slot, 'slot.json');
  const supervisorOf = (slot = 'cpu') => readJson(slotFile(slot)) as Omit<Run, 'token'>;
  /** Runs an attempt to its end; resolves with its end and its runner. */
  const run = async (
    trialId: string,
    parameters: object = {},
    more: Partial<StartAttemptRequest> = {},
  ): Promise<AttemptEnded & { readonly pid: number }> => {
    const given = { epochs: 1, epochMs: 2, stay: true, ...parameters };
    expect(await client.start(trialId, given, more)).toEqual({ ok: { created: true } });
    const end = await endOf(trialId);
    return { ...end, pid: runOf(trialId).pid };
  };
  const program = (source: string): Partial<StartAttemptRequest> => ({
    recipe: 'command',
    command: [process.execPath, '-e', source.replaceAll('{', '{{').replaceAll('}', '}}')],
  });
  const gone = (what: { pid: number; startTicks: number }) =>
    expect.poll(() => isAlive(what), { timeout: 5_000, interval: 10 }).toBe(false);

  beforeEach(async () => {
    nats = await startNats();
    connection = await connectNats(nats.url);
    await createStreams(connection, TTL_MS);
    dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-warm-'));
  });
  afterEach(async () => {
    client.close();
    await terminate(service.child);
    // Only a test that failed leaves supervisors behind.
    for (const slot of ['cpu', 'cpu0', 'cpu1'])
      if (existsSync(slotFile(slot)) && isAlive(supervisorOf(slot)))
        process.kill(supervisorOf(slot).pid, 'SIGTERM');
    await connection.close();
    await nats.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('takes the next attempt of its slot and recipe, and is replaced after a failure', async () => {
    await start();
    const first = await run('t1');
    expect(first.class).toBe(AttemptEndClass.COMPLETED);
    expect((await run('t2')).pid).toBe(first.pid);
    // Of two attempts in one process each has its own facts, and its own whole time.
    expect((await reportsOf('t2')).map(({ spoolLine }) => spoolLine)).toEqual([3, 5, 6]);
    // After a stop that it obeyed, too.
    await client.start('t3', { epochs: 1_000, epochMs: 10, stay: true });
    await spoke('t3');
    await client.stop('t3', StopMode.PAUSE);
    expect((await endOf('t3')).class).toBe(AttemptEndClass.STOPPED);
    const fourth = await run('t4', { crash_at: 1 });
    expect(fourth).toMatchObject({ class: AttemptEndClass.CRASHED, pid: first.pid });
    const fifth = await run('t5');
    expect(fifth.pid).not.toBe(first.pid);
    const other = await run('t6', {}, { recipe: 'replay' });
    expect(other.pid).not.toBe(fifth.pid);
    expect(isAlive(identify(fifth.pid))).toBe(false);
    // Not warm, because it does not say that it stays.
    const last = await run('t7', { stay: false }, { recipe: 'replay' });
    expect(last.pid).toBe(other.pid);
    expect((await run('t8', {}, { recipe: 'replay' })).pid).not.toBe(other.pid);
  });

  it('that dies while it waits is replaced without a word', async () => {
    await start();
    const first = await run('t1');
    process.kill(first.pid, 'SIGKILL');
    // At once, and when the supervisor has noticed.
    expect(await run('t2')).toMatchObject({ class: AttemptEndClass.COMPLETED, code: '' });
    await run('t3', { die_idle: true });
    await gone(runOf('t3'));
    expect(await run('t4')).toMatchObject({ class: AttemptEndClass.COMPLETED, code: '' });
    // It took the command and died of what came before: a fresh one has no such past.
    const fifth = await run('t5', { die_at_once: true });
    expect(fifth.class).toBe(AttemptEndClass.COMPLETED);
    expect((await reportsOf('t5')).filter(({ fact }) => fact?.$case === 'started')).toHaveLength(1);
  });

  it('that is killed in an attempt ends that one only, and one that ignores a stop is replaced', async () => {
    await start();
    const first = await run('t1');
    await client.start('t2', { epochs: 1_000, epochMs: 10, stay: true });
    await spoke('t2');
    process.kill(first.pid, 'SIGKILL');
    expect(await endOf('t2')).toMatchObject({ class: AttemptEndClass.CRASHED });
    const third = await run('t3');
    await client.start('t4', { hang: true, fork: true });
    await spoke('t4');
    const forked = identify(Number(readFileSync(join(attemptDir('t4'), 'work', 'forked.pid'), 'utf8')));
    const began = performance.now();
    await client.stop('t4', StopMode.STOP);
    expect((await endOf('t4')).message).toContain('was killed');
    expect(performance.now() - began).toBeLessThan(GRACE_MS + 2_000);
    expect(isAlive(forked) || isAlive(runOf('t4'))).toBe(false);
    const fifth = await run('t5');
    expect(fifth.class).toBe(AttemptEndClass.COMPLETED);
    expect(fifth.pid).not.toBe(third.pid);
  });

  it('is let go after its time, with a drain, with its supervisor, and is not kept when that is off', async () => {
    await start({ warmIdleMs: 150 });
    await run('t1');
    await gone(runOf('t1'));
    expect(isAlive(supervisorOf())).toBe(true);
    client.close();
    expect(await terminate(service.child)).toBe(0);

    await start();
    await run('t2');
    expect(isAlive(runOf('t2'))).toBe(true);
    const supervisor = supervisorOf();
    process.kill(supervisor.pid, 'SIGKILL');
    await gone(runOf('t2'));
    const third = await run('t3');
    // It does not heed the end of its input: only by its token is it found.
    await client.start('t4', { hang: true });
    await spoke('t4');
    expect(runOf('t4').pid).toBe(third.pid);
    process.kill(supervisorOf().pid, 'SIGKILL');
    expect((await endOf('t4')).message).toContain('supervisor of the slot was killed');
    expect(isAlive(runOf('t4'))).toBe(false);
    const last = await run('t5');
    client.close();
    expect(await terminate(service.child)).toBe(0);
    await gone(identify(last.pid));

    await start({ warmIdleMs: 0 });
    const cold = await run('t6');
    expect(isAlive(runOf('t6'))).toBe(false);
    expect((await run('t7')).pid).not.toBe(cold.pid);
  });

  it('leaves its device to an attempt of another slot that holds this one, too', async () => {
    await start({ slots: { cpu: 2 } });
    const first = await run('t1', {}, { slotId: 'cpu1' });
    expect(isAlive(runOf('t1'))).toBe(true);
    await client.start('t2', { epochs: 1_000, stay: true }, { slotId: 'cpu0', furtherSlotIds: ['cpu1'] });
    await spoke('t2');
    expect(isAlive(runOf('t1'))).toBe(false);
    await client.stop('t2', StopMode.STOP);
    await endOf('t2');
    expect((await run('t3', {}, { slotId: 'cpu1' })).pid).not.toBe(first.pid);
  });

  it('is adopted with its attempt after a kill of the service, and goes on for the next one', async () => {
    await start();
    const first = await run('t1');
    await client.start('t2', { epochs: 40, epochMs: 20, stay: true });
    await spoke('t2');
    await service.kill();
    client.close();
    await start();
    expect(isAlive(runOf('t2'))).toBe(true);
    expect((await endOf('t2')).class).toBe(AttemptEndClass.COMPLETED);
    const epochs = new Set(
      (await reportsOf('t2')).flatMap(({ fact }) => (fact?.$case === 'epoch' ? [fact.value.epoch] : [])),
    );
    expect(epochs.size).toBe(40);
    expect((await run('t3')).pid).toBe(first.pid);
  });

  it('runs programs one after another without a trace of the last: environment, folder, output, processes', async () => {
    await start({ runnerCommand: realRunner });
    const look = `
      const fs = require('fs'), { spawn } = require('child_process');
      if (process.env.WATTSWEEP_PARAMETER_LEAVE) {
        const left = spawn(process.execPath, ['-e', 'process.on("SIGTERM",()=>{});setInterval(()=>{},1e3)'],
          { detached: true, stdio: 'ignore' });
        left.unref();
        fs.writeFileSync('left.pid', String(left.pid));
      }
      fs.writeFileSync('seen.json', JSON.stringify({ env: process.env, cwd: process.cwd(),
        fds: fs.readdirSync('/proc/self/fd').length }));
      process.stdout.write(('x'.repeat(999) + '\\n').repeat(400) + process.env.WATTSWEEP_TRIAL + ' was here\\n');
      process.stderr.write(process.env.WATTSWEEP_TRIAL + ' complains\\n');
      console.log(JSON.stringify({ epoch: 1, loss: 1 }));`;
    const first = await run('t1', { leave: true }, program(look));
    const left = identify(Number(readFileSync(join(attemptDir('t1'), 'work', 'left.pid'), 'utf8')));
    expect(isAlive(left)).toBe(false);
    const second = await run('t2', { other: 2 }, program(look));
    expect(second.pid).toBe(first.pid);
    const seen = (trialId: string) => readJson(join(attemptDir(trialId), 'work', 'seen.json')) as Seen;
    const [one, two] = [seen('t1'), seen('t2')];
    expect(one.env).toHaveProperty('WATTSWEEP_PARAMETER_LEAVE', 'true');
    expect(two.env).not.toHaveProperty('WATTSWEEP_PARAMETER_LEAVE');
    expect(two.env).toMatchObject({
      WATTSWEEP_PARAMETER_OTHER: '2',
      WATTSWEEP_TRIAL: 't2',
      WATTSWEEP_SWEEP: 'sweep',
      WATTSWEEP_ATTEMPT: '1',
    });
    expect(two.env.WATTSWEEP_ATTEMPT_TOKEN).not.toBe(one.env.WATTSWEEP_ATTEMPT_TOKEN);
    expect(two.cwd).toBe(join(attemptDir('t2'), 'work'));
    expect(two.fds).toBe(one.fds);
    const third = await run('t3', {}, program('process.exit(3)'));
    expect(third).toMatchObject({ class: AttemptEndClass.CRASHED, pid: first.pid });
    expect((await run('t4', {}, program(look))).pid).not.toBe(first.pid);
    for (const [trialId, other] of [
      ['t1', 't2'],
      ['t2', 't1'],
    ] as const) {
      const log = readFileSync(join(attemptDir(trialId), 'output.log'), 'utf8');
      const found = [`${trialId} was here`, `${trialId} complains`, other].map((text) => log.includes(text));
      expect(found).toEqual([true, true, false]);
    }
  });

  it(`starts and stops ${String(CYCLES)} programs: no zombie, no open file, no shared memory is left`, async () => {
    await start({ runnerCommand: realRunner });
    const stubborn = program(`
      process.on('SIGTERM', () => process.exit(0));
      console.log(JSON.stringify({ epoch: 1, loss: 1 }));
      setInterval(() => {}, 1e3);`);
    const open = (pid: number): string[] =>
      readdirSync(`/proc/${String(pid)}/fd`)
        .map((fd) => {
          try {
            return readlinkSync(`/proc/${String(pid)}/fd/${fd}`).replace(/\d+/g, 'N');
          } catch {
            return '';
          }
        })
        .filter((target) => target !== '')
        .sort();
    const childrenOf = (pid: number): number =>
      readdirSync('/proc').filter((name) => {
        try {
          return /^\d+$/.test(name) && ppid(name) === pid;
        } catch {
          return false;
        }
      }).length;
    let before: string[] = [];
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      const trialId = `t${String(cycle)}`;
      await client.start(trialId, {}, stubborn);
      await spoke(trialId);
      await client.stop(trialId, cycle % 2 === 0 ? StopMode.STOP : StopMode.CANCEL);
      expect((await endOf(trialId)).class).toBe(AttemptEndClass.STOPPED);
      if (cycle === 2) before = [...open(runOf(trialId).pid), ...open(supervisorOf().pid)];
    }
    const { pid } = runOf(`t${String(CYCLES - 1)}`);
    expect(pid).toBe(runOf('t0').pid);
    await sleep(100);
    expect([...open(pid), ...open(supervisorOf().pid)]).toEqual(before);
    expect(childrenOf(pid)).toBe(0);
    expect(childrenOf(supervisorOf().pid)).toBe(1);
    for (const process of [pid, supervisorOf().pid])
      expect(readFileSync(`/proc/${String(process)}/maps`, 'utf8')).not.toMatch(/\/dev\/shm|SYSV/);
  });
});

/** Parent of a process, from /proc. */
function ppid(pid: string): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}
