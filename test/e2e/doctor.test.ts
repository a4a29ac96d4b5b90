/** `doctor` looks at the real thing: the engine computes, the meter reads. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorRegistry } from '../../proto/errors.js';
import { buildFakeNvml } from '../support/fake-nvml.js';
import { Sandbox } from './support.js';

let box: Sandbox;
beforeAll(() => (box = new Sandbox()));
afterAll(() => box.close());

interface Answer {
  readonly ok: boolean;
  readonly findings: readonly {
    readonly check: string;
    readonly verdict: string;
    readonly detail: string;
    readonly advice: string;
  }[];
}

describe('doctor', () => {
  it('on a box that is set up: the engine computes, and each GPU shows its watts', async () => {
    const nvml = await buildFakeNvml({ gpus: 2, watts: [100, 200] });
    await nvml.set(1, { mayLimit: false });
    const { exitCode, stdout, stderr } = await box.wattsweep(
      ['doctor', '--json', '--meter-seconds', '1.5', '--data', box.data],
      nvml.env,
    ).exit;
    await nvml.remove();
    expect(exitCode, stderr).toBe(0);
    const { ok, findings } = JSON.parse(stdout) as Answer;
    const detail = (check: string) => findings.find((finding) => finding.check === check)?.detail;
    expect(ok).toBe(true);
    expect(detail('engine')).toMatch(/^TensorFlow \d+\.\d+\.\d+ computed a convolution on the (CPU|GPU)/);
    expect(detail('CIFAR-10')).toContain('60,000 images');
    expect(detail('GPU')).toMatch(/gpu0 .*gpu1 .*driver 999.0-fake, NVML 12.999.0, CUDA up to 12.4$/);
    expect(detail('power limit')).toBe(
      'gpu0 300 W of 100 to 400 W, may be set; gpu1 300 W of 100 to 400 W, may not be set: no permission',
    );
    const watts = [...(detail('power') ?? '').matchAll(/(\d+(?:\.\d+)?) W by nvml-counter/g)].map(([, w]) =>
      Number(w),
    );
    expect(watts).toHaveLength(2);
    // A short look at a machine that may be busy.
    expect(watts.map((value, gpu) => Math.round(value / (100 * (gpu + 1))))).toEqual([1, 1]);
  });

  it('on a bare box: says what is missing and what to do, by its exit code too', async () => {
    const bare = { WATTSWEEP_HOME: `${box.dir}/empty`, PATH: '/nowhere' };
    const { exitCode, stdout, stderr } = await box.wattsweep(
      ['doctor', '--meter-seconds', '0.2', '--data', box.data],
      bare,
    ).exit;
    expect(exitCode).toBe(errorRegistry.ENGINE_MISSING.exit);
    expect(stderr).toContain('cannot run a sweep yet');
    for (const line of ['✗ engine', '✗ CIFAR-10', '✗ nats-server', '✗ set-up tools', 'python3'])
      expect(stdout).toContain(line);
    expect(stdout).not.toContain('\u001b[');
  });
});
