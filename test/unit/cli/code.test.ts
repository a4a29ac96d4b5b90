/** The folder that a sweep ships: what of it goes, its hash, where it stood in git, and when it is sent. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gitState } from '../../../cli/code/git-state.js';
import { listCode } from '../../../cli/code/list.js';
import { packCode, shipping } from '../../../cli/code/ship.js';
import type { Submission } from '../../../client/coordinator.js';
import { MOST_CODE_ENTRIES } from '../../../proto/code.js';
import { WattsweepError } from '../../../proto/errors.js';
import type { SweepSpec } from '../../../services/coordinator/core/index.js';
import { unpackFolder } from '../../../services/trainer/checkpoints/pack.js';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'wattsweep-code-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(path: string, content = path): void {
  mkdirSync(join(dir, path, '..'), { recursive: true });
  writeFileSync(join(dir, path), content);
}
const names = async (folder = '.'): Promise<string[]> =>
  (await listCode(join(dir, folder))).entries.filter(({ kind }) => kind !== 'folder').map(({ path }) => path);
const pack = (folder = '.') =>
  packCode({ path: join(dir, 'sweep.yaml'), spec: { code: { folder, sha256: '' } } as SweepSpec });
const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: dir, encoding: 'utf8' });

describe('code to ship', () => {
  it('is all of a folder but what is never code', async () => {
    for (const path of ['train.py', 'lib/net.py', '.git/HEAD', '.wattsweep/x', 'lib/__pycache__/net.pyc'])
      write(path);
    symlinkSync('lib/net.py', join(dir, 'link.py'));
    symlinkSync(join(dir, 'lib'), join(dir, 'absolute'));
    expect(await names()).toEqual(['absolute', 'lib/net.py', 'link.py', 'train.py']);
    const { entries } = await listCode(dir);
    expect(entries.find(({ path }) => path === 'absolute')?.target).toBe('lib');
  });

  it('leaves out what .wattsweepignore names, by the rules of git, in every folder', async () => {
    write('.wattsweepignore', '# data\n*.bin\n/runs/\n!keep.bin\nsp ace/\\#x\n');
    write('lib/.wattsweepignore', 'local\n');
    write('.gitignore', 'train.py\n');
    for (const path of [
      'train.py',
      'a.bin',
      'deep/b.bin',
      'keep.bin',
      'runs/log',
      'deep/runs/log',
      'lib/local',
    ])
      write(path);
    for (const path of ['sp ace/#x', 'größe.py', 'module/.git/HEAD', 'module/m.py', 'local']) write(path);
    expect(await names()).toEqual(
      [
        ...[
          '.gitignore',
          '.wattsweepignore',
          'deep/runs/log',
          'größe.py',
          'keep.bin',
          'lib/.wattsweepignore',
        ],
        ...['local', 'module/m.py', 'train.py'],
      ].sort(),
    );
  });

  it('counts only what goes: an ignore file below may leave out more than would be taken', async () => {
    write('train.py');
    for (let i = 0; i <= MOST_CODE_ENTRIES; i += 1) write(`data/${i}`, '');
    await expect(listCode(dir)).rejects.toThrow(`more than ${MOST_CODE_ENTRIES} files`);
    write('data/.wattsweepignore', '*\n');
    expect(await names()).toEqual(['train.py']);
  });

  it('is refused when a link leads out of it, when it is too large, and when there is nothing', async () => {
    await expect(listCode(dir)).rejects.toMatchObject({ code: 'CODE_REFUSED' });
    write('in/train.py');
    symlinkSync('../../etc/passwd', join(dir, 'in', 'out'));
    await expect(listCode(join(dir, 'in'))).rejects.toThrow(
      'the link out leads out of it, to ../../etc/passwd',
    );
    rmSync(join(dir, 'in', 'out'));
    write('in/data.bin');
    truncateSync(join(dir, 'in', 'data.bin'), 65 * 1024 * 1024);
    await expect(listCode(join(dir, 'in'))).rejects.toThrow(/65\.0 MiB; 64 MiB .* The largest: data\.bin/);
    await expect(pack('nowhere')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  it('has a hash of names, contents and what is a program; comes out as it went in', async () => {
    write('src/a.py', 'one');
    write('src/sub/run.sh', 'two');
    chmodSync(join(dir, 'src/a.py'), 0o664);
    const first = (await pack('src'))!.code;
    chmodSync(join(dir, 'src/a.py'), 0o600);
    write('src/a.py', 'one');
    expect((await pack('src'))!.code.sha256).toBe(first.sha256);
    chmodSync(join(dir, 'src/sub/run.sh'), 0o755);
    const packed = (await pack('src'))!;
    expect(packed.code.sha256).not.toBe(first.sha256);
    expect(packed.code).toMatchObject({ files: 2, git: undefined });
    await unpackFolder(join(dir, 'out'), packed.pieces());
    expect(existsSync(join(dir, 'out/sub/run.sh'))).toBe(true);
    write('src/new.py');
    await expect(unpackFolder(join(dir, 'out2'), packed.pieces())).rejects.toThrow(
      'changed while it was packed',
    );
  });

  it('is sent once, where the coordinator lacks it', async () => {
    write('src/a.py', 'one');
    const packed = await pack('src');
    const calls: string[] = [];
    const stored = new Set<string>();
    const coordinator = {
      submit: ({ code }: Submission) => {
        calls.push('submit');
        if (!stored.has(code!.sha256)) return Promise.reject(new WattsweepError('CODE_MISSING', 'no'));
        return Promise.resolve({ sweepId: 's', warnings: [] });
      },
      uploadCode: async ({ sha256 }: { sha256: string }, pieces: () => AsyncIterable<Buffer>) => {
        calls.push('upload');
        for await (const piece of pieces()) expect(piece.length).toBeGreaterThan(0);
        stored.add(sha256);
        return { stored: true };
      },
      get: () => Promise.reject(new Error('not asked')),
      compare: () => Promise.resolve([]),
    };
    const request = { yaml: '', overrides: [], requestId: 'r' };
    await shipping(coordinator, packed).submit(request);
    await shipping(coordinator, packed).submit(request);
    expect(calls).toEqual(['submit', 'upload', 'submit', 'submit']);
    await expect(shipping(coordinator, packed).get('s')).rejects.toThrow('not asked');
  });

  it('tells commit, branch and changes of the folder alone', async () => {
    write('src/a.py', 'one\n');
    expect(await gitState(join(dir, 'src'))).toBeUndefined();
    git('init', '-q', '-b', 'trunk');
    git('add', '.');
    git('commit', '-qm', 'first');
    write('elsewhere', 'x');
    const commit = git('rev-parse', 'HEAD').trim();
    const clean = { commit, branch: 'trunk', dirty: false, diff: '', diffBytes: 0 };
    expect(await gitState(join(dir, 'src'))).toEqual(clean);
    write('src/new.py', 'x');
    expect(await gitState(join(dir, 'src'))).toEqual({ ...clean, dirty: true });
    write('src/a.py', 'two\n'.repeat(10_000));
    const state = (await gitState(join(dir, 'src')))!;
    expect(state.diff).toContain('-one\n+two');
    expect(state.diff.length).toBeLessThan(state.diffBytes);
  });
});
