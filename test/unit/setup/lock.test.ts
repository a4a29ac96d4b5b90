import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { here, startedAt, withLock } from '../../../setup/lib/lock.mjs';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wattsweep-lock-'));
  file = join(folder, 'a.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const owner = (of: Partial<Record<'pid' | 'started' | 'where' | 'token', unknown>>) =>
  writeFileSync(
    file,
    JSON.stringify({ pid: process.pid, started: startedAt(process.pid), where: here(), token: 't', ...of }),
  );

describe('withLock', () => {
  it('lets one in at a time', async () => {
    let inside = 0;
    const order: number[] = [];
    const enter = (n: number) =>
      withLock(file, async () => {
        expect(++inside).toBe(1);
        await sleep(30);
        order.push(n);
        inside--;
      });
    await Promise.all([1, 2, 3].map(enter));
    expect(order.toSorted()).toEqual([1, 2, 3]);
  });

  it('is released when the work fails', async () => {
    await expect(withLock(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await withLock(file, () => Promise.resolve('in'))).toBe('in');
  });

  it('takes over from a process that is gone', async () => {
    owner({ pid: 2 ** 22 - 1, started: '1' });
    expect(await withLock(file, () => Promise.resolve('in'))).toBe('in');
  });

  it('takes over when the process id now belongs to another process', async () => {
    owner({ started: '1' });
    expect(await withLock(file, () => Promise.resolve('in'))).toBe('in');
  });

  it('waits for an owner that lives, and says for whom', async () => {
    owner({});
    let waitedFor: number | null = null;
    const entered = withLock(file, () => Promise.resolve('in'), { onWait: (pid) => (waitedFor = pid) });
    await vi.waitFor(() => expect(waitedFor).toBe(process.pid), 5000);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ token: 't' });
    rmSync(file);
    expect(await entered).toBe('in');
  });

  it('waits for an owner on another host while it touches its lock', async () => {
    owner({ where: 'another-host', pid: 2 ** 22 - 1, started: '1' });
    let entered = false;
    const waiting = withLock(file, () => Promise.resolve((entered = true)));
    await sleep(500);
    expect(entered).toBe(false);
    rmSync(file);
    await waiting;
  });
});
