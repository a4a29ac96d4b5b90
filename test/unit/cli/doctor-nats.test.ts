import { describe, expect, it } from 'vitest';
import { checkNatsServer, clockFinding } from '../../../cli/doctor/nats.js';

describe('the clock of this box', () => {
  it('is compared with that of NATS in the middle of the question', () => {
    expect(clockFinding(10_000, 10_100, 10_300)).toMatchObject({
      verdict: 'ok',
      detail: '0.20 s ahead of that of NATS',
    });
    expect(clockFinding(15_000, 10_000, 10_000)).toMatchObject({
      verdict: 'note',
      detail: '5.00 s behind that of NATS',
    });
    expect(clockFinding(NaN, 0, 1).verdict).toBe('note');
  });
});

describe('a NATS server', () => {
  it('that is named and does not answer is what is wrong; none is asked where none is known', async () => {
    const data = '/nowhere/wattsweep';
    expect(await checkNatsServer({ data, nats: 'nats://127.0.0.1:1' })).toMatchObject([
      { check: 'NATS', verdict: 'bad', advice: expect.stringContaining('join token') as string },
    ]);
    expect(await checkNatsServer({ data })).toEqual([]);
  });
});
