import { mkdir, mkdtemp, readFile, readlink, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  BrokenPack,
  FolderChanged,
  listFolder,
  packFolder,
  unpackFolder,
} from '../../../services/trainer/checkpoints/pack.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wattsweep-pack-'));
  await mkdir(join(dir, 'from', 'deep', 'er'), { recursive: true });
  await writeFile(join(dir, 'from', 'state.bin'), Buffer.alloc(400_000, 7));
  await writeFile(join(dir, 'from', 'deep', 'er', 'größe {}\n.txt'), 'words\n{"path":"no"}\n');
  await writeFile(join(dir, 'from', 'empty'), '');
  await symlink('state.bin', join(dir, 'from', 'latest'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function packed(): Promise<Buffer> {
  const parts: Buffer[] = [];
  const from = join(dir, 'from');
  for await (const part of packFolder(from, await listFolder(from))) parts.push(part);
  return Buffer.concat(parts);
}
/** In pieces of that size. */
async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}
const to = () => join(dir, 'to');

describe('a packed folder', () => {
  it.each([1_000_000, 4096, 777])('comes out as it went in, in pieces of %i bytes', async (size) => {
    await unpackFolder(to(), pieces(await packed(), size));
    expect((await readFile(join(to(), 'state.bin'))).equals(Buffer.alloc(400_000, 7))).toBe(true);
    expect(await readFile(join(to(), 'deep', 'er', 'größe {}\n.txt'), 'utf8')).toBe('words\n{"path":"no"}\n');
    expect(await readFile(join(to(), 'empty'), 'utf8')).toBe('');
    expect(await readlink(join(to(), 'latest'))).toBe('state.bin');
    const plain = async (root: string) =>
      (await listFolder(root)).entries.map(({ path, kind, bytes, mode }) => ({ path, kind, bytes, mode }));
    expect(await plain(to())).toEqual(await plain(join(dir, 'from')));
  });

  it('keeps a link that stays inside, however it is written, and leaves out one that leads elsewhere', async () => {
    const from = join(dir, 'from');
    await symlink(join(from, 'state.bin'), join(from, 'deep', 'absolute'));
    await symlink('/etc/passwd', join(from, 'outside'));
    await symlink('../../nowhere', join(from, 'deep', 'above'));
    await unpackFolder(to(), pieces(await packed(), 1_000_000));
    expect(await readlink(join(to(), 'deep', 'absolute'))).toBe('../state.bin');
    const names = (await listFolder(to())).entries.map(({ path }) => path);
    expect(names).toContain('latest');
    expect(names).not.toContain('outside');
    expect(names).not.toContain('deep/above');
  });

  it('is none when something in it changes while it is read', async () => {
    const from = join(dir, 'from');
    const listing = await listFolder(from);
    const drain = async (): Promise<void> => {
      for await (const part of packFolder(from, listing)) expect(part.length).toBeGreaterThan(0);
    };
    await writeFile(join(from, 'more'), 'x');
    await expect(drain()).rejects.toThrow(FolderChanged);
    await rm(join(from, 'more'));
    await truncate(join(from, 'state.bin'), 100);
    await expect(drain()).rejects.toThrow(FolderChanged);
    await rm(from, { recursive: true });
    await expect(drain()).rejects.toThrow(FolderChanged);
    await expect(listFolder(from)).rejects.toThrow(FolderChanged);
  });

  it('is refused when it is cut off, garbled, or reaches out of its folder', async () => {
    const whole = await packed();
    const unpack = async (bytes: Buffer): Promise<void> => {
      await rm(to(), { recursive: true, force: true });
      await unpackFolder(to(), pieces(bytes, 50_000));
    };
    await expect(unpack(whole.subarray(0, 300_000))).rejects.toThrow(BrokenPack);
    await expect(unpack(whole.subarray(0, 30))).rejects.toThrow(BrokenPack);
    await expect(unpack(Buffer.alloc(100_000, 120))).rejects.toThrow(BrokenPack);
    const entry = (fields: object) => Buffer.from(`${JSON.stringify({ bytes: 0, mode: 420, ...fields })}\n`);
    for (const path of ['../evil', '/etc/evil', 'a/../../evil', ''])
      await expect(unpack(entry({ path, kind: 'file' }))).rejects.toThrow('outside');
    await expect(unpack(entry({ path: 'l', kind: 'link', target: '../../etc' }))).rejects.toThrow(
      'points out',
    );
    await expect(unpack(entry({ path: 'l', kind: 'link', target: '/etc' }))).rejects.toThrow('points out');
    // `l/up` is inside by its text; behind the link it is not.
    const behind = [
      { path: 'p', kind: 'folder' },
      { path: 'p/q', kind: 'folder' },
      { path: 'd', kind: 'folder' },
      { path: 'p/q/l', kind: 'link', target: '../../d' },
      { path: 'p/q/l/up', kind: 'link', target: '../..' },
    ];
    await expect(unpack(Buffer.concat(behind.map(entry)))).rejects.toThrow('behind the link p/q/l');
    await expect(unpack(entry({ path: 'l', kind: 'socket' }))).rejects.toThrow(BrokenPack);
    await expect(unpack(entry({ path: 'f', kind: 'file', bytes: -1 }))).rejects.toThrow(BrokenPack);
  });
});
