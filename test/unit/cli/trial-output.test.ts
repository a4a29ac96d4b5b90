import { describe, expect, it } from 'vitest';
import { lastLines } from '../../../cli/trial-output.js';
import type { OutputChunk } from '../../../client/output.js';

describe('the last lines', () => {
  const chunk = (data: string): OutputChunk => ({
    attempt: 1,
    trainerId: 'b',
    leftOut: 0,
    next: 9,
    data: Buffer.from(data),
  });
  it.each([
    [['a\nb\nc\n'], 2, 'b\nc\n'],
    [['a\nb', 'b\nc'], 2, 'bb\nc'],
    [['a\nb\n'], 5, 'a\nb\n'],
    [['\n\n\n'], 2, '\n\n'],
    [['\na'], 2, '\na'],
    [['a'], 1, 'a'],
  ])('of %j: %i', (data, count, expected) => {
    const last = lastLines(data.map(chunk), count);
    expect(Buffer.from(last!.data).toString()).toBe(expected);
    expect(last!.next).toBe(9);
  });

  it('of nothing are none', () => {
    expect(lastLines([], 3)).toBeNull();
  });
});
