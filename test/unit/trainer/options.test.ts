import { describe, expect, it } from 'vitest';
import { resolveOptions } from '../../../services/trainer/options.js';

describe('options of a trainer', () => {
  const given = { natsUrl: 'nats://127.0.0.1:4222' };

  it('are completed', () => {
    expect(resolveOptions({ ...given, trainerId: 'box' })).toMatchObject({
      token: null,
      trainerId: 'box',
      listenHost: '127.0.0.1',
      slots: 'auto',
      allowCommands: [],
      estimateWatts: null,
      trainerTtlMs: 10_000,
      lostAfterMs: 90_000,
      stopGraceMs: 30_000,
    });
    expect(resolveOptions(given).trainerId).toMatch(/^[a-z0-9][a-z0-9-]*$/);
  });

  it.each([
    [{ trainerId: 'Box 1' }, 'trainerId'],
    [{ slots: { cpu: 0 } }, 'slots'],
    [{ stopGraceMs: -1 }, 'stopGraceMs'],
    [{ estimateWatts: 0 }, 'estimateWatts'],
    [{ runnerCommand: [] }, 'runnerCommand'],
    [{ unknown: 1 }, 'unknown'],
  ])('are refused with their place: %j', (wrong, place) => {
    expect(() => resolveOptions({ ...given, ...wrong })).toThrow(place);
  });

  it('need a join token beyond loopback', () => {
    expect(() => resolveOptions({ ...given, listenHost: '10.0.0.5' })).toThrow('join token');
    expect(resolveOptions({ ...given, listenHost: '10.0.0.5', token: 't' }).token).toBe('t');
    expect(resolveOptions({ ...given, listenHost: '::1' }).listenHost).toBe('::1');
  });
});
