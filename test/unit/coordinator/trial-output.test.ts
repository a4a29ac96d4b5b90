import { describe, expect, it } from 'vitest';
import type { Leader } from '../../../services/coordinator/api/index.js';
import { readTrialOutput } from '../../../services/coordinator/api/output.js';
import type { Answer, OutputSource } from '../../../services/coordinator/fleet/index.js';
import type { ReadOutputResponse } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { sweepSpec, trainer, World } from '../../support/core.js';

const GONE: Answer<ReadOutputResponse> = {
  kind: 'refused',
  code: 'OUTPUT_GONE',
  retryable: false,
  message: 'This box does not have it (any more).',
};
const SILENT: Answer<ReadOutputResponse> = { kind: 'unreachable', message: '' };
const REQUEST = { sweepId: 's', trialId: 't0001', attempt: 0, from: 7, skipMissing: false };

describe('the output of a trial', () => {
  /** A trial with an attempt, and a box that answers so. */
  function asked(answer: Answer<ReadOutputResponse>) {
    const world = new World();
    world.join(trainer('box', 1, { address: '127.0.0.1:7' }));
    world.submit(sweepSpec({ maxParallel: 1 }));
    const kept: string[] = [];
    const boxes: OutputSource = {
      readOutput: () => Promise.resolve(answer),
      keepOnly: (addresses) => void kept.push(...addresses),
    };
    const leader = { state: world.state } as Leader;
    const read = (over: Partial<typeof REQUEST> = {}) =>
      readTrialOutput(leader, { ...REQUEST, ...over }, boxes);
    const [attempt] = world.running();
    if (attempt === undefined) throw new Error('nothing runs');
    return { world, attempt, read, kept };
  }

  it('is nothing yet of an attempt that is on its way to its box', async () => {
    const { read } = asked(GONE);
    expect(await read()).toMatchObject({ attempt: 1, next: 7, atEnd: true, attemptOver: false, missing: '' });
  });

  it('is gone when the box has removed it; who goes on to the next attempt is told', async () => {
    const { world, attempt, read } = asked(GONE);
    world.started(attempt);
    await expect(read({ skipMissing: true })).rejects.toMatchObject({ code: 'OUTPUT_GONE' });
    world.end(attempt);
    await expect(read()).rejects.toMatchObject({ code: 'OUTPUT_GONE' });
    expect(await read({ skipMissing: true })).toMatchObject({
      attemptOver: true,
      trialOver: true,
      missing: expect.stringContaining('box: This box does not have it') as string,
    });
  });

  it('of an attempt that is over is not waited for when its box is away', async () => {
    const { world, attempt, read } = asked(SILENT);
    world.started(attempt);
    await expect(read({ skipMissing: true })).rejects.toMatchObject({ code: 'TRAINER_UNREACHABLE' });
    world.feed({ type: 'trainer_gone', trainerId: 'box', at: world.now });
    await expect(read()).rejects.toMatchObject({ code: 'TRAINER_UNREACHABLE' });
    expect((await read({ skipMissing: true })).missing).toMatch(/box at 127.0.0.1:7 does not answer/);
  });

  it('is asked for over channels to addresses of this fleet only', async () => {
    const { read, kept } = asked(GONE);
    await read();
    expect(kept).toEqual(['127.0.0.1:7']);
  });
});
