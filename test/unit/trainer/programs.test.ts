/** What a program is started as, and what must be on the box before: code, folders, files. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProgramSetup } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { programOf, startedProgram } from '../../../services/trainer/attempts/program.js';
import { listFolder, packFolder } from '../../../services/trainer/checkpoints/pack.js';
import { trainerLayout } from '../../../services/trainer/layout.js';
import type { CodeObjects } from '../../../services/trainer/nats/code-objects.js';
import { CodeFolders } from '../../../services/trainer/programs/code-folders.js';
import { FileHashes } from '../../../services/trainer/programs/file-hashes.js';
import { checkNeeds } from '../../../services/trainer/programs/needs.js';
import type { AttemptSpec } from '../../../services/trainer/protocol/runner.js';
import { runCommand } from '../../../services/trainer/runner/recipes/command/command.js';
import { linkCode } from '../../../services/trainer/runner/recipes/command/link-code.js';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'wattsweep-programs-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const write = (path: string, content: string): string => {
  mkdirSync(join(dir, path, '..'), { recursive: true });
  writeFileSync(join(dir, path), content);
  return join(dir, path);
};
const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');
const never = new AbortController().signal;

describe('a program', () => {
  const places = {
    workDir: '/box/work',
    checkpointDir: '/box/checkpoints',
    codeDir: (hash: string) => `/box/code/${hash}`,
    gpus: ['GPU-1', 'GPU-2'],
  };
  const setup = (more: Partial<ProgramSetup>): ProgramSetup => ({
    workdir: '',
    wrap: [],
    requires: [],
    collect: undefined,
    ...more,
  });
  const started = (more: Partial<ProgramSetup> | null, code: string | null = null, lr = 0.1) =>
    programOf(
      {
        command: ['python3', 'package.json', '--lr={lr}'],
        setup: more === null ? undefined : setup(more),
        code: code === null ? undefined : { sha256: code },
        seed: 7,
        maxEpochs: 3,
      },
      { lr, gpus: 2 },
      places,
    );
  const code = 'a'.repeat(64);

  it('is the command itself where nothing surrounds it', () => {
    expect(started(null)).toEqual({
      spec: { command: ['python3', resolve('package.json'), '--lr=0.1'] },
      needs: null,
    });
  });

  it('stands in its wrapper, word by word; parameters go before what the box gives', () => {
    const wrap = [
      'docker',
      'run',
      '-v={workdir}',
      '--gpus={gpus}',
      '--env-file={env_file}',
      '{command}',
      '{seed}',
    ];
    const { spec, needs } = started({ wrap });
    expect(spec.command).toEqual([
      ...['docker', 'run', '-v=/box/work', '--gpus=2', '--env-file=/box/work/wattsweep.env'],
      ...['python3', resolve('package.json'), '--lr=0.1', '7'],
    ]);
    expect(spec.environmentFile).toBe('/box/work/wattsweep.env');
    expect(needs).toBeNull();
    expect(startedProgram({ command: ['python3'], setup: setup({ wrap }) })).toBe('docker');
    expect(startedProgram({ command: ['python3'], setup: setup({ wrap: ['{command}', '-x'] }) })).toBe(
      'python3',
    );
    expect(startedProgram({ command: ['python3'], setup: undefined })).toBe('python3');
    expect(() => started({ wrap: ['{nothing}', '{command}'] })).toThrow('{nothing}');
  });

  it('runs where it shall, and names files from there', () => {
    expect(started({ workdir: '/data/{lr}' })).toEqual({
      spec: { command: ['python3', 'package.json', '--lr=0.1'], runDir: '/data/0.1' },
      needs: { folder: '/data/0.1' },
    });
    expect(started({ workdir: 'here' }).needs).toEqual({ folder: resolve('here') });
    expect(started(null, code)).toEqual({
      spec: {
        command: ['python3', 'package.json', '--lr=0.1'],
        code: { dir: `/box/code/${code}`, folder: '' },
      },
      needs: { codeSha256: code },
    });
    expect(started({ workdir: 'src/./train/' }, code).spec).toMatchObject({
      runDir: '/box/work/src/train',
      code: { folder: 'src/train' },
    });
    expect(() => started({ workdir: 'a/../../b' }, code)).toThrow('leads out of the code');
    expect(() => started(null, '../../etc')).toThrow('no SHA-256');
  });

  it('has its collector with places filled', () => {
    const none = { regex: '', kerasCsv: '', tensorboard: undefined };
    const of = (more: object) => started({ collect: { ...none, ...more } }).spec.collect;
    expect(of({ kerasCsv: 'h-{lr}.csv' })).toEqual({ kerasCsv: 'h-0.1.csv' });
    expect(of({ regex: '\\d{2}' })).toEqual({ regex: '\\d{2}' });
    const tensorboard = { folder: '{checkpoint_dir}/tb', metrics: { a: 'b' }, epochs: 'count' };
    expect(of({ tensorboard })).toEqual({ tensorboard: { ...tensorboard, folder: '/box/checkpoints/tb' } });
    expect(() => of({ tensorboard: { ...tensorboard, epochs: 'later' } })).toThrow('does not know');
    expect(() => of({})).toThrow('not from what');
  });
});

describe('what a program needs', () => {
  it('is looked for; what lacks or differs is told in a sentence', async () => {
    const data = write('data.bin', 'twelve bytes');
    const hashes = new FileHashes();
    const check = (needs: Parameters<typeof checkNeeds>[0]) => checkNeeds(needs, hashes, never);
    await check({ folder: dir, files: [{ path: data, sha256: sha256('twelve bytes') }] });
    await check({ files: [{ path: dir, sha256: null }] });
    const refused = (needs: Parameters<typeof checkNeeds>[0], words: string) =>
      expect(check(needs)).rejects.toMatchObject({
        code: 'REQUIREMENT_MISSING',
        message: expect.stringContaining(words) as string,
      });
    await refused({ folder: join(dir, 'no') }, `the folder ${join(dir, 'no')}, in which`);
    await refused({ folder: data }, 'the folder');
    await refused({ files: [{ path: join(dir, 'no'), sha256: null }] }, 'does not have');
    await refused({ files: [{ path: dir, sha256: sha256('') }] }, 'is no file');
    await refused(
      { files: [{ path: data, sha256: sha256('others') }] },
      `SHA-256 is ${sha256('twelve bytes')}`,
    );
  });

  it('is hashed again when it has changed, and only then', async () => {
    const data = write('data.bin', 'one');
    const hashes = new FileHashes();
    const [first, again] = await Promise.all([hashes.of(data, never), hashes.of(data, never)]);
    expect([first, again]).toEqual([sha256('one'), sha256('one')]);
    writeFileSync(data, 'two');
    utimesSync(data, 1, 1);
    expect(await hashes.of(data, never)).toBe(sha256('two'));
    const aborted = AbortSignal.abort(new Error('given up'));
    utimesSync(data, 2, 2);
    await expect(hashes.of(data, aborted)).rejects.toThrow('given up');
  });
});

describe('code on a box', () => {
  const layout = () => trainerLayout(join(dir, 'box'), 'b');
  async function packed(): Promise<Buffer> {
    write('src/train.py', 'print(1)');
    write('src/lib/net.py', 'x = 1');
    const parts: Buffer[] = [];
    for await (const part of packFolder(join(dir, 'src'), await listFolder(join(dir, 'src'))))
      parts.push(part);
    return Buffer.concat(parts);
  }
  function folders(stored: ReadonlyMap<string, Buffer>) {
    const asked: string[] = [];
    const find = (hash: string) => {
      asked.push(hash);
      const bytes = stored.get(hash);
      async function* read(): AsyncGenerator<Buffer> {
        yield await Promise.resolve(bytes!);
      }
      return Promise.resolve(bytes === undefined ? null : { read });
    };
    return { asked, code: new CodeFolders(layout(), () => ({ find }) as unknown as CodeObjects) };
  }

  it('is fetched once, whoever asks, and cannot be written', async () => {
    const bytes = await packed();
    const hash = sha256(bytes);
    const { asked, code } = folders(new Map([[hash, bytes]]));
    await Promise.all([code.have(hash), code.have(hash)]);
    await code.have(hash);
    expect(asked).toEqual([hash]);
    const file = join(layout().codeDir(hash), 'lib', 'net.py');
    expect(readFileSync(file, 'utf8')).toBe('x = 1');
    expect(statSync(file).mode & 0o222).toBe(0);
  });

  it('is refused when NATS lacks it, and no half of it stays when it is not what it should be', async () => {
    const bytes = await packed();
    const wrong = 'b'.repeat(64);
    const { code } = folders(new Map([[wrong, bytes]]));
    await expect(code.have('c'.repeat(64))).rejects.toMatchObject({ code: 'CODE_MISSING' });
    await expect(code.have(wrong)).rejects.toThrow('has the SHA-256');
    expect(existsSync(layout().codeDir(wrong))).toBe(false);
    expect(readdirSync(layout().fetchedDir)).toEqual([]);
  });

  it('stands where the program runs; what is written beside it stays out of it', () => {
    write('code/train.py', 'a');
    write('code/conf/a.yaml', 'b');
    write('code/src/deep/main.py', 'c');
    write('code/src/util.py', 'd');
    symlinkSync('train.py', join(dir, 'code', 'link.py'));
    const work = join(dir, 'work');
    mkdirSync(work);
    linkCode({ dir: join(dir, 'code'), folder: 'src/deep' }, work);
    writeFileSync(join(work, 'src', 'deep', 'history.csv'), 'x');
    writeFileSync(join(work, 'new.txt'), 'x');
    const seen = ['train.py', 'link.py', 'conf/a.yaml', 'src/util.py', 'src/deep/main.py'];
    expect(seen.map((name) => readFileSync(join(work, name), 'utf8'))).toEqual(['a', 'a', 'b', 'd', 'c']);
    expect(readdirSync(join(dir, 'code')).sort()).toEqual(['conf', 'link.py', 'src', 'train.py']);
    expect(readdirSync(join(dir, 'code', 'src', 'deep'))).toEqual(['main.py']);
    mkdirSync(join(dir, 'other'));
    expect(() => linkCode({ dir: join(dir, 'code'), folder: 'nowhere' }, join(dir, 'other'))).toThrow(
      'the code has no folder nowhere',
    );
  });

  it('has a file of the name that the parameters get: it stays as it was', async () => {
    write('code/wattsweep-parameters.json', 'theirs');
    const work = join(dir, 'work');
    const attempt: AttemptSpec = {
      key: { sweepId: 's', trialId: 't', attempt: 1 },
      recipe: 'command',
      command: [process.execPath, '-e', ''],
      parameters: { lr: 0.1 },
      maxEpochs: 1,
      seed: 1,
      repeat: 1,
      objective: 'loss',
      device: { kind: 'cpu', uuids: [], model: 'CPU', threads: 1 },
      workDir: work,
      checkpointDir: join(dir, 'checkpoints'),
      resumeFrom: null,
      code: { dir: join(dir, 'code'), folder: '' },
    };
    await runCommand(attempt, {
      environment: {},
      spoil: () => undefined,
      report: () => undefined,
      stopRequested: () => null,
      stopped: new Promise(() => undefined),
      breathe: () => Promise.resolve(),
    });
    const read = (at: string): string => readFileSync(join(at, 'wattsweep-parameters.json'), 'utf8');
    expect(JSON.parse(read(work))).toEqual({ lr: 0.1 });
    expect(read(join(dir, 'code'))).toBe('theirs');
  });
});
