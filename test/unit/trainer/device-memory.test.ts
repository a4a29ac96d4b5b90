import { describe, expect, it } from 'vitest';
import { DeviceMemory } from '../../../services/trainer/slots/device-memory.js';

const GIB = 2 ** 30;

describe('the memory of a GPU after an attempt', () => {
  let used: number | null = GIB;
  let nowMs = 0;
  const memory = () => new DeviceMemory({ used: () => used, clock: () => nowMs, waitMs: 0 });

  it('that is free again lets the next one in', async () => {
    used = GIB;
    const gpu = memory();
    expect(gpu.begin(['a'])).toEqual({ a: GIB });
    used = 9 * GIB;
    // The runner has stayed: what it holds is not what was there before.
    expect(gpu.begin(['a'])).toEqual({ a: GIB });
    used = 1.2 * GIB;
    await gpu.freed(['a']);
    expect(gpu.problemOf(['a'])).toBeNull();
    expect(gpu.begin(['a'])).toEqual({ a: 1.2 * GIB });
  });

  it('that is not free keeps the slot busy until it is, and not for ever', async () => {
    used = GIB;
    const gpu = memory();
    gpu.adopt({ a: GIB });
    used = 6 * GIB;
    await gpu.freed(['a']);
    expect(gpu.problemOf(['b', 'a'])).toContain('a has more memory in use');
    expect(gpu.problemOf(['b'])).toBeNull();
    used = GIB;
    expect(gpu.problemOf(['a'])).toBeNull();
    used = 6 * GIB;
    expect(gpu.problemOf(['a'])).toBeNull();
    gpu.adopt({ a: GIB });
    await gpu.freed(['a']);
    expect(gpu.problemOf(['a'])).not.toBeNull();
    nowMs += 300_000;
    expect(gpu.problemOf(['a'])).toBeNull();
  });

  it('is waited for a moment', async () => {
    used = GIB;
    let looks = 0;
    const gpu = new DeviceMemory({ used: () => (++looks > 4 ? GIB : 5 * GIB), waitMs: 60_000 });
    gpu.adopt({ a: GIB });
    await gpu.freed(['a']);
    expect(looks).toBeGreaterThan(4);
    expect(gpu.problemOf(['a'])).toBeNull();
  });

  it('that cannot be read holds nothing up', async () => {
    used = null;
    const gpu = memory();
    expect(gpu.begin(['a'])).toEqual({});
    await gpu.freed(['a']);
    expect(gpu.problemOf(['a'])).toBeNull();
  });
});
