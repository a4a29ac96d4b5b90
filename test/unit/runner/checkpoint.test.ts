import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  BEST,
  type Expected,
  newestCheckpoint,
  readAnyCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../../services/trainer/runner/checkpoint.js';

const checkpoint = {
  network: 'toy/1',
  epoch: 2,
  step: 7,
  progress: { images: 3 },
  vectors: { w: Float32Array.of(1, -0, NaN, 1e-42), m: Float32Array.of(2) },
};
const expected = { network: 'toy/1', vectors: { w: 4, m: 1 } };
/** What is read, and what is said of those that cannot be. */
function read(path: string, wanted: Expected = expected) {
  const problems: string[] = [];
  return { checkpoint: readCheckpoint(path, wanted, (problem) => problems.push(problem)), problems };
}
const folder = () => mkdtempSync(join(tmpdir(), 'wattsweep-checkpoint-'));

describe('a checkpoint', () => {
  it('comes back bit for bit, by its own path or by the folder that holds it', () => {
    const parent = folder();
    const path = writeCheckpoint(parent, checkpoint);
    for (const place of [path, parent]) {
      const found = read(place);
      expect(found).toEqual({ checkpoint, problems: [] });
      expect(Object.is(found.checkpoint!.vectors['w']![1], -0)).toBe(true);
    }
  });

  it('keeps the one before, and removes older ones and what a killed process left half-done', () => {
    const parent = folder();
    writeCheckpoint(parent, checkpoint);
    mkdirSync(join(parent, '.epoch-0003-step-00000009.unfinished'));
    writeCheckpoint(parent, { ...checkpoint, step: 9 });
    const path = writeCheckpoint(parent, { ...checkpoint, epoch: 3, step: 10 });
    expect(readdirSync(parent)).toEqual(['epoch-0002-step-00000009', 'epoch-0003-step-00000010']);
    expect(read(parent).checkpoint?.step).toBe(10);
    expect(path).toBe(join(parent, 'epoch-0003-step-00000010'));
  });

  it('takes no place from those of a trial that had to go back', () => {
    const parent = folder();
    for (const epoch of [8, 9, 1, 2, 3]) writeCheckpoint(parent, { ...checkpoint, epoch });
    expect(readdirSync(parent).map((name) => Number(name.slice(6, 10)))).toEqual([2, 3, 8, 9]);
  });

  it('keeps the best apart from the last ones, and a trial does not go on from it', () => {
    const parent = folder();
    const objectives = [0.3, 0.5, 0.4, 0.4];
    objectives.forEach((value, index) =>
      writeCheckpoint(parent, { ...checkpoint, epoch: index + 1, progress: { value } }, value === 0.5),
    );
    expect(readdirSync(parent)).toEqual(['best', 'epoch-0003-step-00000007', 'epoch-0004-step-00000007']);
    expect(readAnyCheckpoint(join(parent, BEST))).toMatchObject({ epoch: 2, progress: { value: 0.5 } });
    expect(newestCheckpoint(parent)).toBe(join(parent, 'epoch-0004-step-00000007'));
    writeCheckpoint(parent, { ...checkpoint, epoch: 5 }, true);
    expect(readAnyCheckpoint(join(parent, BEST)).epoch).toBe(5);
    rmSync(join(parent, 'epoch-0005-step-00000007'), { recursive: true });
    rmSync(join(parent, 'epoch-0004-step-00000007'), { recursive: true });
    expect(read(parent)).toEqual({ checkpoint: null, problems: [] });
    truncateSync(join(parent, BEST, 'state.bin'), 4);
    expect(() => readAnyCheckpoint(join(parent, BEST))).toThrow(/best cannot be read.*checksum/);
  });

  it('carries what it was trained with, beside the vectors that a trial goes on with', () => {
    const parent = folder();
    const trained = { recipe: 'toy', parameters: { depth: 3, units: [1, 2] }, maxEpochs: 5 };
    const more = { ...checkpoint, trained, extras: { mean: Float32Array.of(0.5, 0.25) } };
    writeCheckpoint(parent, more);
    expect(read(parent).checkpoint).toEqual(more);
  });

  it.each<[string, (path: string) => void, RegExp]>([
    ['a changed byte', (path) => writeFileSync(join(path, 'state.bin'), Buffer.alloc(20)), /checksum/],
    ['a file cut short', (path) => truncateSync(join(path, 'state.bin'), 4), /checksum/],
    ['a description cut short', (path) => writeFileSync(join(path, 'checkpoint.json'), '{"f'), /cut short/],
    ['a description of nothing', (path) => writeFileSync(join(path, 'checkpoint.json'), 'null'), /not that/],
    ['the loss of a file', (path) => rmSync(join(path, 'state.bin')), /ENOENT/],
    ['the loss of all', (path) => rmSync(path, { recursive: true }), /ENOENT/],
  ])('gives way to the one before after %s', (_case, harm, message) => {
    const parent = folder();
    const before = { ...checkpoint, epoch: 1 };
    const paths = [before, checkpoint, { ...checkpoint, epoch: 3 }].map((one) =>
      writeCheckpoint(parent, one),
    );
    writeCheckpoint(parent, before);
    harm(paths[1]!);
    // That of epoch 3 is whole, but later than was asked for.
    const found = read(paths[1]!);
    expect(found.checkpoint).toEqual(before);
    expect(found.problems).toEqual([expect.stringMatching(message)]);
    harm(paths[0]!);
    expect(read(paths[1]!).checkpoint).toBeNull();
  });

  it('is refused for another version, network, other vectors', () => {
    const path = writeCheckpoint(folder(), checkpoint);
    const refused = (message: RegExp, wanted = expected): void => {
      expect(() => read(path, wanted)).toThrow(message);
      expect(() => read(path, wanted)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_INVALID' }));
    };
    refused(/of toy\/1, not of toy\/2/, { ...expected, network: 'toy/2' });
    refused(/another network or optimizer/, { ...expected, vectors: { w: 4, m: 2 } });
    const file = join(path, 'checkpoint.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"version": 1', '"version": 2'));
    refused(/another version/);
  });
});
