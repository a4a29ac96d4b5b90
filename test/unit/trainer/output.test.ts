import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HEAD_BYTES, OutputLog, PART_BYTES } from '../../../services/trainer/output/log.js';
import { readOutput, type OutputPiece } from '../../../services/trainer/output/reader.js';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wattsweep-output-'));
  path = join(dir, 'output.log');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Every byte tells its place. */
const printed = (bytes: number): Buffer =>
  Buffer.from(Uint32Array.from({ length: Math.ceil(bytes / 4) }, (_, i) => i).buffer).subarray(0, bytes);

function readAll(from = 0, maxBytes = 100_000): OutputPiece[] {
  const pieces: OutputPiece[] = [];
  for (let next = from; ;) {
    const piece = readOutput(path, next, maxBytes);
    pieces.push(piece);
    if (piece.atEnd) return pieces;
    expect(piece.next).toBeGreaterThan(next);
    next = piece.next;
  }
}

describe('the output of a program', () => {
  it('keeps its beginning and its end, and says how much is left out', () => {
    const log = new OutputLog(path);
    for (let line = 0; line < 30_000; line++)
      log.write(Buffer.from(`line ${String(line).padStart(40, '0')}\n`));
    expect(log.tail(100)).toContain('0029999');
    log.close();
    const text = readFileSync(path, 'utf8');
    expect(text.startsWith(`line ${'0'.repeat(40)}\n`)).toBe(true);
    expect(text.endsWith(`${String(29_999).padStart(40, '0')}\n`)).toBe(true);
    const left = Number(/\[\.\.\. (\d+) bytes left out \.\.\.\]/.exec(text)?.[1]);
    const marker = /\n\[\.\.\. \d+ bytes left out \.\.\.\]\n/.exec(text)![0].length;
    expect(text.length - marker + left).toBe(30_000 * 46);
    expect(text.length).toBeLessThan(800_000);
    expect(readdirSync(dir)).toEqual(['output.log']);
  });

  it('is kept whole when it is short', () => {
    const log = new OutputLog(path);
    log.write(Buffer.from([0xff, 0x00, 0x0a]));
    log.close();
    expect([...readFileSync(path)]).toEqual([0xff, 0x00, 0x0a]);
  });

  it('is read from any place, each byte at its own, while it is written and after its end', () => {
    const edges = [0, 1, HEAD_BYTES, HEAD_BYTES + PART_BYTES, HEAD_BYTES + 2 * PART_BYTES, 1_400_000];
    const near = fc
      .tuple(fc.constantFrom(...edges), fc.integer({ min: -2, max: 2 }))
      .map(([edge, by]) => Math.max(0, edge + by));
    const size = fc.oneof(near, fc.integer({ min: 0, max: 1_500_000 }));
    fc.assert(
      fc.property(
        size,
        size,
        fc.integer({ min: 50_000, max: 700_000 }),
        fc.boolean(),
        (total, from, chunk, ended) => {
          rmSync(dir, { recursive: true, force: true });
          dir = mkdtempSync(join(tmpdir(), 'wattsweep-output-'));
          path = join(dir, 'output.log');
          const all = printed(total);
          const log = new OutputLog(path);
          for (let i = 0; i < total; i += chunk) log.write(all.subarray(i, i + chunk));
          if (ended) log.close();
          let place = from;
          let leftOut = 0;
          for (const piece of readAll(from)) {
            place += piece.leftOut;
            leftOut += piece.leftOut;
            expect(piece.data.equals(all.subarray(place, place + piece.data.length))).toBe(true);
            place += piece.data.length;
            expect(piece.next).toBe(place);
          }
          expect(place).toBe(Math.max(from, total));
          // The beginning, and at least one whole part at the end.
          if (total <= HEAD_BYTES + PART_BYTES) expect(leftOut).toBe(0);
          expect(leftOut).toBeLessThanOrEqual(Math.max(0, total - HEAD_BYTES - PART_BYTES));
          if (!ended) log.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('goes on where the last piece ended, also over the end of the program', () => {
    const all = printed(900_000);
    const log = new OutputLog(path);
    log.write(all.subarray(0, 600_000));
    const before = readAll();
    log.write(all.subarray(600_000));
    log.close();
    const { next } = before.at(-1)!;
    expect(next).toBe(600_000);
    const after = readAll(next);
    expect(after.map(({ leftOut }) => leftOut)).toEqual(after.map(() => 0));
    expect(Buffer.concat(after.map(({ data }) => data)).equals(all.subarray(600_000))).toBe(true);
  });

  it('loses what the disk does not take, says how much, and nothing else', () => {
    const all = printed(HEAD_BYTES + 2 * PART_BYTES);
    const log = new OutputLog(path);
    log.write(all.subarray(0, HEAD_BYTES + PART_BYTES));
    // No file can be made there.
    mkdirSync(`${path}.2`);
    log.write(all.subarray(0, 1_000));
    rmSync(`${path}.2`, { recursive: true });
    log.write(all.subarray(HEAD_BYTES + PART_BYTES));
    log.close();
    expect(readdirSync(dir)).toEqual(['output.log']);
    const gap = Buffer.from('\n[... 1000 bytes left out ...]\n');
    const head = all.subarray(0, HEAD_BYTES);
    expect(readFileSync(path).equals(Buffer.concat([head, gap, all.subarray(HEAD_BYTES)]))).toBe(true);
  });

  it('of one that has printed nothing is empty', () => {
    expect(readOutput(path, 0, 100)).toMatchObject({ next: 0, leftOut: 0, atEnd: true });
  });
});
