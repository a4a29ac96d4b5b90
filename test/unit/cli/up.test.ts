import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { untilAskedToEnd } from '../../../cli/up/child-protocol.js';
import { Service, type ServiceEvents, type ServiceSpec } from '../../../cli/up/children.js';
import { endLeftovers } from '../../../cli/up/leftovers.js';
import { defaultName } from '../../../cli/up/names.js';
import { threadsPerTrainer, trainerNames } from '../../../cli/up/partition.js';
import { identify, isAlive, type ProcessIdentity } from '../../../cli/up/process-identity.js';
import { type UpRecord, lockDataDir, readUpRecord, writeUpRecord } from '../../../cli/up/record.js';
import { isLoopback, keptToken, requireToken } from '../../../cli/up/token.js';
import { isToken } from '../../../proto/subjects.js';

let folder = '';
const pids: number[] = [];

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'wattsweep-up-'))));
afterEach(() => {
  for (const pid of pids.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

function sleeper(script = 'setInterval(() => {}, 1000)') {
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  pids.push(child.pid ?? 0);
  return child;
}

const record = (services: UpRecord['services']): UpRecord => ({
  version: 1,
  up: identify(process.pid),
  startedAt: '2026-01-01T00:00:00Z',
  natsUrl: 'nats://127.0.0.1:4722',
  grpcAddress: '127.0.0.1:7722',
  httpAddress: '127.0.0.1:7723',
  token: 'secret',
  services,
});

describe('the division of a machine', () => {
  it.each([
    [8, 1, [8]],
    [8, 3, [3, 3, 2]],
    [2, 2, [1, 1]],
    [2, 4, [1, 1, 1, 1]],
  ])('%d cores for %d trainers: %j', (cores, trainers, threads) => {
    expect(threadsPerTrainer(cores, trainers)).toEqual(threads);
  });

  it('names trainers by tokens that differ', () => {
    expect(trainerNames('box', 1)).toEqual(['box']);
    expect(trainerNames('box', 2)).toEqual(['box-1', 'box-2']);
    for (const host of ['My_Box.lan', 'ÜBER', '---', 'a'.repeat(80)]) {
      expect(isToken(defaultName(host))).toBe(true);
    }
  });
});

describe('the record of an `up`', () => {
  it('is for its owner only, since it holds the join token', () => {
    writeUpRecord(folder, record([]));
    expect(readUpRecord(folder)).toMatchObject({ token: 'secret' });
    expect(statSync(join(folder, 'up.json')).mode & 0o077).toBe(0);
    expect(readdirSync(folder)).toEqual(['up.json']);
  });

  it('that cannot be read is none', () => {
    writeFileSync(join(folder, 'up.json'), '{"version": 1, "up": ');
    expect(readUpRecord(folder)).toBeNull();
  });
});

describe('the lock of a data folder', () => {
  it('refuses a second `up` while the first lives, and is free afterwards', () => {
    const lock = lockDataDir(folder);
    expect(() => lockDataDir(folder)).toThrow(expect.objectContaining({ code: 'ALREADY_RUNNING' }));
    lock.release();
    lockDataDir(folder).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('of a dead `up` is taken over', async () => {
    const child = sleeper('');
    const dead = identify(child.pid ?? 0);
    await new Promise((resolve) => child.once('exit', resolve));
    writeFileSync(join(folder, 'up.lock'), JSON.stringify(dead));
    lockDataDir(folder).release();
  });

  it('is not held by another process that has got the same pid since', () => {
    writeFileSync(join(folder, 'up.lock'), JSON.stringify({ pid: process.pid, start: 'another time' }));
    lockDataDir(folder).release();
  });

  it('that is half-written is taken over', () => {
    writeFileSync(join(folder, 'up.lock'), '{"pid"');
    lockDataDir(folder).release();
  });
});

describe('what a killed `up` left', () => {
  it('is ended: what runs still, and nothing else', async () => {
    const left = sleeper();
    const stranger = sleeper();
    const services = [
      { name: 'nats', ...identify(left.pid ?? 0) },
      { name: 'coordinator', pid: stranger.pid ?? 0, start: 'another time' },
    ];
    expect(await endLeftovers(record(services))).toEqual(['nats']);
    expect(isAlive(identify(stranger.pid ?? 0))).toBe(true);
    expect(left.signalCode ?? 'SIGTERM').toBe('SIGTERM');
  });

  it('does not drain its trainers', async () => {
    const left = sleeper();
    const exited = new Promise((resolve) => left.once('exit', (_code, signal) => resolve(signal)));
    await endLeftovers(record([{ name: 'trainer box', ...identify(left.pid ?? 0) }]));
    expect(await exited).toBe('SIGUSR2');
  });

  it('is killed when it does not end by itself', async () => {
    const stubborn = spawn(
      process.execPath,
      ['-e', 'process.on("SIGTERM", () => {}); process.stdout.write("."); setInterval(() => {}, 1000)'],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    pids.push(stubborn.pid ?? 0);
    await new Promise((resolve) => stubborn.stdout.once('data', resolve));
    const identity = identify(stubborn.pid ?? 0);
    await endLeftovers(record([{ name: 'nats', ...identity }]), 100);
    expect(isAlive(identity)).toBe(false);
  });
});

describe('a service', () => {
  it.each([
    ['SIGINT', 'drain'],
    ['SIGTERM', 'drain'],
    ['SIGUSR2', 'leave'],
  ] as const)('takes %s for %s', async (signal, how) => {
    const names = ['SIGINT', 'SIGTERM', 'SIGUSR2', 'message'];
    const before = new Map(names.map((name) => [name, process.listeners(name as 'SIGINT')]));
    const asked = untilAskedToEnd();
    const added = (name: string) =>
      process
        .listeners(name as 'SIGINT')
        .filter((listener) => before.get(name)?.includes(listener) === false);
    for (const listener of added(signal)) listener(signal);
    expect(await asked).toBe(how);
    for (const name of names) for (const listener of added(name)) process.off(name, listener);
  });
});

describe('a supervised service', () => {
  const said: string[] = [];
  const events: ServiceEvents = { say: (text) => said.push(text), changed: () => undefined };
  const spec = (script?: string): ServiceSpec => ({
    name: 'thing',
    endWithinMs: 300,
    ask: (child) => void child.kill('SIGTERM'),
    start: async () => {
      const child = sleeper(script);
      await new Promise((resolve) => child.once('spawn', resolve));
      return { child, ready: { port: '1' } };
    },
  });
  const until = async (condition: () => boolean): Promise<void> => {
    for (let i = 0; !condition(); i += 1) {
      if (i > 500) throw new Error(`did not happen; said: ${said.join('; ')}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  beforeEach(() => said.splice(0));

  it('is started again when it is killed, as another process', async () => {
    const service = new Service(spec(), 'always', events);
    await service.start();
    const first = service.identity!;
    process.kill(first.pid, 'SIGKILL');
    await until(() => service.identity !== null && service.identity.pid !== first.pid);
    expect(said.join()).toMatch(/thing ended \(SIGKILL\); starting it again/);
    await service.end();
    expect(service.identity).toBeNull();
  });

  it('stays away with --restart never', async () => {
    const service = new Service(spec(), 'never', events);
    await service.start();
    process.kill(service.identity!.pid, 'SIGKILL');
    await until(() => service.identity === null);
    expect(said.join()).toMatch(/it is not restarted/);
    await service.end();
  });

  it('leaves no process behind when it is asked to end while it is being started again', async () => {
    const slow = spec();
    let starts = 0;
    const begun: ProcessIdentity[] = [];
    let letStart: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (letStart = resolve));
    const service = new Service(
      {
        ...slow,
        start: async (previous) => {
          starts += 1;
          if (starts > 1) await started;
          const process = await slow.start(previous);
          begun.push(identify(process.child.pid ?? 0));
          return process;
        },
      },
      'always',
      events,
    );
    await service.start();
    process.kill(service.identity!.pid, 'SIGKILL');
    await until(() => starts === 2);
    const ended = service.end();
    letStart();
    await ended;
    expect(service.identity).toBeNull();
    expect(begun.map(isAlive)).toEqual([false, false]);
  });

  it('is not started again when it was asked to end', async () => {
    const service = new Service(spec(), 'always', events);
    await service.start();
    const identity = service.identity!;
    await service.end();
    expect(isAlive(identity)).toBe(false);
    expect(said).toEqual([]);
  });
});

describe('the join token', () => {
  it('is needed beyond loopback only', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1', '[::1]'])
      expect(isLoopback(host)).toBe(true);
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'box', '127.0.0.1.example.org']) {
      expect(isLoopback(host)).toBe(false);
      expect(() => requireToken(host, undefined)).toThrow(
        expect.objectContaining({ code: 'UNAUTHENTICATED' }),
      );
      expect(requireToken(host, 'secret')).toBe('secret');
    }
    expect(requireToken('127.0.0.1', undefined)).toBeNull();
  });

  it('is made once and kept for its owner only', () => {
    const token = keptToken(folder);
    expect(token.length).toBeGreaterThanOrEqual(32);
    expect(keptToken(folder)).toBe(token);
    expect(statSync(join(folder, 'token')).mode & 0o077).toBe(0);
  });
});
