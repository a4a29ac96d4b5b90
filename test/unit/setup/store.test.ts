import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkPiece, ensurePiece } from '../../../setup/lib/store.mjs';
import { Sandbox } from './support.js';

const STORE = resolve(import.meta.dirname, '../../../setup/lib/store.mjs');

function piece(box: Sandbox, text = 'whole') {
  const folder = join(box.home, 'things', 'thing-1');
  let made = 0;
  const make = (fresh: string) => {
    made++;
    mkdirSync(join(fresh, 'deep'));
    writeFileSync(join(fresh, 'deep', 'file'), text);
    return Promise.resolve();
  };
  return {
    folder,
    ensure: (verify = false) => ensurePiece({ name: 'thing', folder, make, verify }),
    made: () => made,
  };
}

describe('a piece of the cache', () => {
  it('is made once', async () => {
    const { folder, ensure, made } = piece(new Sandbox());
    expect(await ensure()).toBe(folder);
    expect(await ensure()).toBe(folder);
    expect(made()).toBe(1);
    expect(await checkPiece(folder, { full: true })).toBe('complete');
  });

  it('is made again when a file was cut short', async () => {
    const { folder, ensure, made } = piece(new Sandbox());
    await ensure();
    writeFileSync(join(folder, 'deep', 'file'), 'wh');
    expect(await checkPiece(folder)).toEqual({ damage: 'deep/file has 2 bytes instead of 5' });
    await ensure();
    expect(made()).toBe(2);
    expect(readFileSync(join(folder, 'deep', 'file'), 'utf8')).toBe('whole');
  });

  it('is made again when a byte has changed and it is verified in full', async () => {
    const { folder, ensure, made } = piece(new Sandbox());
    await ensure();
    writeFileSync(join(folder, 'deep', 'file'), 'whale');
    await ensure();
    expect(made()).toBe(1);
    await ensure(true);
    expect(made()).toBe(2);
  });

  it('is not there when making it fails, and nothing else is left', async () => {
    const box = new Sandbox();
    const folder = join(box.home, 'things', 'thing-1');
    const make = (fresh: string) => {
      writeFileSync(join(fresh, 'half'), 'ha');
      return Promise.reject(Object.assign(new Error('write'), { code: 'ENOSPC' }));
    };
    const failure = ensurePiece({ name: 'thing', folder, make });
    await expect(failure).rejects.toMatchObject({ code: 'SETUP_DISK_FULL' });
    expect(existsSync(folder)).toBe(false);
    expect(box.leftovers).toEqual([]);
  });

  it('is refused before it is begun when the disk has too little space', async () => {
    const box = new Sandbox();
    const make = () => Promise.reject(new Error('began'));
    const failure = ensurePiece({ name: 'thing', folder: join(box.home, 'a', 'b'), make, spaceBytes: 1e18 });
    await expect(failure).rejects.toMatchObject({ code: 'SETUP_DISK_FULL' });
  });

  it('is made once by two processes at the same time', async () => {
    const box = new Sandbox();
    const folder = join(box.home, 'things', 'thing-1');
    const log = join(box.home, '..', 'log');
    const script = `
      import { appendFileSync, writeFileSync } from 'node:fs';
      import { setTimeout } from 'node:timers/promises';
      import { checkPiece, ensurePiece } from ${JSON.stringify(STORE)};
      const [folder, log] = ${JSON.stringify([folder, log])};
      const make = async (fresh) => {
        appendFileSync(log, 'made\\n');
        for (let i = 0; i < 20; i++) { writeFileSync(fresh + '/' + i, 'x'.repeat(1000)); await setTimeout(10); }
      };
      await ensurePiece({ name: 'thing', folder, make });
      appendFileSync(log, await checkPiece(folder, { full: true }) + '\\n');`;
    const run = () =>
      new Promise<number | null>((settle) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
          env: box.env,
          stdio: 'ignore',
        });
        child.on('close', settle);
      });
    expect(await Promise.all([run(), run(), run()])).toEqual([0, 0, 0]);
    expect(readFileSync(log, 'utf8').split('\n')).toEqual(['made', 'complete', 'complete', 'complete', '']);
    expect(readdirSync(join(box.home, 'tmp'))).toEqual([]);
  });
});
