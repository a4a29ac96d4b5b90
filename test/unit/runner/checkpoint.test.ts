import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../../services/trainer/runner/checkpoint.js';

const checkpoint = {
  network: 'toy/1',
  epoch: 2,
  step: 7,
  progress: { images: 3 },
  vectors: { w: Float32Array.of(1, -0, NaN, 1e-42), m: Float32Array.of(2) },
};
const expected = { network: 'toy/1', vectors: { w: 4, m: 1 } };
const folder = () => mkdtempSync(join(tmpdir(), 'wattsweep-checkpoint-'));

describe('a checkpoint', () => {
  it('comes back bit for bit, by its own path or by the folder that holds it', () => {
    const parent = folder();
    const path = writeCheckpoint(parent, checkpoint);
    for (const place of [path, parent]) {
      const read = readCheckpoint(place, expected);
      expect(read).toEqual(checkpoint);
      expect(Object.is(read.vectors['w']![1], -0)).toBe(true);
    }
  });

  it('keeps the one before, and removes older ones and what a killed process left half-done', () => {
    const parent = folder();
    writeCheckpoint(parent, checkpoint);
    mkdirSync(join(parent, '.epoch-0003-step-00000009.unfinished'));
    writeCheckpoint(parent, { ...checkpoint, step: 9 });
    const path = writeCheckpoint(parent, { ...checkpoint, epoch: 3, step: 10 });
    expect(readdirSync(parent)).toEqual(['epoch-0002-step-00000009', 'epoch-0003-step-00000010']);
    expect(readCheckpoint(parent, expected).step).toBe(10);
    expect(path).toBe(join(parent, 'epoch-0003-step-00000010'));
  });

  const damage: [string, (path: string) => void, RegExp][] = [
    ['a changed byte', (path) => writeFileSync(join(path, 'state.bin'), Buffer.alloc(20)), /checksum/],
    ['a header cut short', (path) => writeFileSync(join(path, 'checkpoint.json'), '{"format":'), /damaged/],
    [
      'another version',
      (path) => {
        const file = join(path, 'checkpoint.json');
        writeFileSync(file, readFileSync(file, 'utf8').replace('"version": 1', '"version": 2'));
      },
      /another version/,
    ],
  ];
  it.each(damage)('is refused after %s', (_case, harm, message) => {
    const path = writeCheckpoint(folder(), checkpoint);
    harm(path);
    expect(() => readCheckpoint(path, expected)).toThrow(message);
    expect(() => readCheckpoint(path, expected)).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_INVALID' }),
    );
  });

  it('is refused for another network, other vectors, and where there is none', () => {
    const path = writeCheckpoint(folder(), checkpoint);
    expect(() => readCheckpoint(path, { ...expected, network: 'toy/2' })).toThrow(/of toy\/1, not of toy\/2/);
    expect(() => readCheckpoint(path, { ...expected, vectors: { w: 4 } })).toThrow(
      /another network or optimizer/,
    );
    expect(() => readCheckpoint(folder(), expected)).toThrow(/holds no checkpoint/);
  });
});
