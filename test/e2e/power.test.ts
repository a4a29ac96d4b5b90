/** Watts from a meter reach every place that shows them; without a meter the same places say that there is none. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildFakeNvml } from '../support/fake-nvml.js';
import { allowCurve, writeCurveSweep } from './command-sweep.js';
import { readLedger } from './ledger.js';
import { Sandbox, until } from './support.js';

let box: Sandbox;
beforeEach(() => (box = new Sandbox()));
afterEach(() => box.close());

interface Report {
  readonly sweep: { readonly joules: number | null };
  readonly trials: readonly {
    readonly watts: number | null;
    readonly joules: number | null;
    readonly powerMethods: readonly string[];
    readonly curve: { readonly joules: readonly (number | null)[] };
  }[];
}

interface Observed {
  readonly metrics: string;
  readonly report: Report;
  readonly trials: readonly {
    readonly meanWatts: number | null;
    readonly joules: number | null;
    readonly powerMethod: string | null;
  }[];
}

/** Runs the sweep, scrapes in its middle, and reads what it left. */
async function run(env: Readonly<Record<string, string>>): Promise<Observed> {
  const up = box.up(
    [writeCurveSweep(box, { trials: 2, epochs: 6, epochSeconds: 0.5 }), ...allowCurve, '--json'],
    env,
  );
  let metrics = '';
  await until(
    'metrics tell the third epoch',
    async () => {
      const address = box.record()?.httpAddress;
      if (!address) return false;
      metrics = await (await fetch(`http://${address}/metrics`)).text();
      return /^wattsweep_\w*epoch\w*\{[^}]*\} [3-6]$/m.test(metrics);
    },
    { words: () => up.words + metrics },
  );
  const { exitCode, stdout, stderr } = await up.exit;
  expect(exitCode, stderr).toBe(0);
  const { trials, report } = JSON.parse(stdout) as Pick<Observed, 'trials'> & { report: string[] };
  const path = report.find((name) => name.endsWith('.json')) ?? '';
  return { metrics, trials, report: JSON.parse(readFileSync(join(box.dir, path), 'utf8')) as Report };
}

describe('two GPUs with a meter', () => {
  it('have their watts in the epoch records, in the report and in /metrics', async () => {
    const nvml = await buildFakeNvml({ gpus: 2, watts: [100, 200] });
    try {
      const { metrics, report, trials } = await run(nvml.env);
      for (const watts of [100, 200]) {
        expect(metrics).toMatch(new RegExp(`^wattsweep_\\w*watts\\{[^}]*\\} ${watts}(\\.\\d+)?$`, 'm'));
      }
      const rounded = (values: readonly (number | null)[]) =>
        values.map((w) => (w === null ? null : Math.round(w / 10) * 10)).sort();
      expect(rounded(trials.map((trial) => trial.meanWatts))).toEqual([100, 200]);
      expect(rounded(report.trials.map((trial) => trial.watts))).toEqual([100, 200]);
      for (const trial of report.trials) {
        expect(trial.powerMethods).toEqual(['nvml-counter']);
        expect(trial.curve.joules.filter((joules) => joules !== null && joules > 0)).toHaveLength(6);
      }
      const ledger = await readLedger(join(box.data, 'jetstream'));
      const epochs = ledger.of('epoch_accepted').map((event) => event.record.train);
      expect(epochs).toHaveLength(12);
      for (const energy of epochs)
        expect(energy).toMatchObject({ method: 'nvml-counter', joules: expect.any(Number) as number });
    } finally {
      await nvml.remove();
    }
  });
});

describe('a box without a meter', () => {
  it('says null, or nothing, where watts would stand; never 0', async () => {
    const nothing = {
      NVML_LIBRARY_PATH: join(box.dir, 'no-such-library.so'),
      PATH: join(process.execPath, '..'),
    };
    const { metrics, report, trials } = await run(nothing);
    if (trials.every((trial) => trial.powerMethod !== null)) {
      // The processors of this machine show their energy: then that is what reads it.
      for (const { powerMethod, joules } of trials) {
        expect(['rapl', 'hwmon']).toContain(powerMethod);
        expect(joules).toBeGreaterThan(0);
      }
      return;
    }
    expect(metrics).not.toMatch(/^wattsweep_\w*(watts|joules)\w*(\{[^}]*\})? /m);
    expect(trials.map(({ meanWatts, joules }) => [meanWatts, joules])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(report.sweep.joules).toBeNull();
    expect(report.trials.map(({ watts, joules }) => [watts, joules])).toEqual([
      [null, null],
      [null, null],
    ]);
    const ledger = await readLedger(join(box.data, 'jetstream'));
    for (const { record } of ledger.of('epoch_accepted')) {
      expect(record.train).toMatchObject({ joules: null, meanWatts: null, method: '' });
      expect(record.train.absentReason).not.toBe('');
    }
  });
});
