import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AcceptedAttempt } from '../../../services/trainer/attempts/record.js';
import { isAlive } from '../../../services/trainer/host/process.js';
import type { SlotDevice } from '../../../services/trainer/protocol/runner.js';
import { RunnerKeeper } from '../../../services/trainer/supervisor/runner-keeper.js';

const device: SlotDevice = { kind: 'cpu', uuids: [], model: 'a laptop', threads: 1 };
/** Waits for the end of its input, or not even for that. */
const WAITS = 'process.stdin.resume()';
const STAYS = 'setInterval(() => {}, 1000)';

const attempt = (more: Partial<AcceptedAttempt> = {}, spec: Partial<AcceptedAttempt['spec']> = {}) =>
  ({
    runnerCommand: [process.execPath, '-e', WAITS],
    environment: { CUDA_VISIBLE_DEVICES: 'GPU-1' },
    attemptEnvironment: {},
    warmIdleMs: 60_000,
    spec: { recipe: 'replay', device, ...spec },
    ...more,
  }) as AcceptedAttempt;

describe('a runner that waits', () => {
  let dir: string;
  let keeper: RunnerKeeper;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'wattsweep-keeper-'));
    keeper = new RunnerKeeper(dir);
  });
  afterEach(async () => {
    await keeper.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('takes an attempt with the same recipe, program, environment and device', async () => {
    const { runner, isWarm } = await keeper.take(attempt());
    expect(isWarm).toBe(false);
    keeper.keep(runner, attempt());
    expect(await keeper.take(attempt({ attemptEnvironment: { WATTSWEEP_SWEEP: 's2' } }))).toEqual({
      runner,
      isWarm: true,
    });
    keeper.keep(runner, attempt());
  });

  it.each([
    ['recipe', attempt({}, { recipe: 'command' })],
    ['program', attempt({ runnerCommand: [process.execPath, '-e', `${WAITS};`] })],
    ['environment', attempt({ environment: { CUDA_VISIBLE_DEVICES: 'GPU-2' } })],
    ['device', attempt({}, { device: { ...device, threads: 2 } })],
    ['wish to wait', attempt({ warmIdleMs: 0 })],
  ])('is gone before the runner of another %s begins', async (_what, other) => {
    const { runner } = await keeper.take(attempt());
    keeper.keep(runner, attempt());
    const next = await keeper.take(other);
    expect(next.isWarm).toBe(false);
    expect(isAlive(runner.identity!)).toBe(false);
    await next.runner.leave();
  });

  it('has been heard in full before its last line counts, also where it printed too fast', async () => {
    const bytes = 8 * 1024 * 1024 + 32 * 1024;
    const prints = `process.stdin.resume();
      process.stdout.write('x'.repeat(${String(bytes)}), () => require('fs').writeSync(3, '{}\\n'));`;
    const { runner } = await keeper.take(attempt({ runnerCommand: [process.execPath, '-e', prints] }));
    let heard = 0;
    await new Promise<void>((resolve) =>
      runner.listen({
        onLines: () => resolve(),
        onOutput: (chunk) => (heard += chunk.length),
        onExit: () => undefined,
      }),
    );
    await runner.settled();
    expect(heard).toBe(bytes);
    await runner.leave();
  });

  it('is killed when it does not go', async () => {
    const stubborn = attempt({ runnerCommand: [process.execPath, '-e', STAYS] });
    const { runner } = await keeper.take(stubborn);
    keeper.keep(runner, stubborn);
    await keeper.close();
    expect(isAlive(runner.identity!)).toBe(false);
  });

  it('waits no longer than it may', async () => {
    const brief = attempt({ warmIdleMs: 30 });
    const { runner } = await keeper.take(brief);
    keeper.keep(runner, brief);
    await runner.exited;
    const next = await keeper.take(brief);
    expect(next.isWarm).toBe(false);
    await next.runner.leave();
  });
});
