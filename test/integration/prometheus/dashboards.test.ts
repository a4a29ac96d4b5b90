/**
 * A real sweep on a real coordinator and trainer (with a fake NVML), scraped by a real Prometheus: every query of every
 * dashboard and every recording rule must give data.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { Coordinator } from '../../../client/coordinator.js';
import { SweepState } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { startCoordinator, type RunningCoordinator } from '../../../services/coordinator/index.js';
import { startTrainer, type RunningTrainer } from '../../../services/trainer/index.js';
import { parseExposition, sample } from '../../support/exposition.js';
import { buildFakeNvml, type FakeNvml } from '../../support/fake-nvml.js';
import { startNats, type TestNats } from '../../support/nats.js';
import { startPrometheus, type QueryResult, type TestPrometheus } from '../../support/prometheus.js';

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly instant?: boolean }[];
}

interface Dashboard {
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const dashboards = readdirSync(join(root, 'dashboards'))
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(root, 'dashboards', name), 'utf8')) as Dashboard);
const rules = parse(readFileSync(join(root, 'deploy/prometheus/rules/recording.yml'), 'utf8')) as {
  groups: { rules: { record: string }[] }[];
};

const SCRAPE_MS = 500;
const substituted = (expression: string): string =>
  expression
    .replaceAll('$__rate_interval', '4s')
    .replaceAll('$__range', '1m')
    .replaceAll(/\$(job|instance|sweep)\b/g, '.+');

const sweepFile = `
name: dashboards
command: [node, ${join(root, 'test/fixtures/programs/rising.mjs')}]
objective: { metric: val_accuracy, goal: maximize, target: 0.95 }
max_epochs: 4
sweep: { peak: [0.3, 0.5, 0.7, 0.9] }
stopping: { rule: asha, first_rung: 1, eta: 2 }
`;

/** Our own processes, run from the sources; they work in folders of their own. */
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const program = (path: string): string[] => [process.execPath, '--import', tsx, join(root, path)];

describe('a sweep under a real Prometheus', () => {
  let nats: TestNats;
  let nvml: FakeNvml;
  let coordinator: RunningCoordinator;
  let trainer: RunningTrainer;
  let prometheus: TestPrometheus;
  let client: Coordinator;
  let dataDir = '';
  let beganMs = 0;
  let endedMs = 0;

  const overTime = (expression: string): Promise<readonly QueryResult[]> =>
    prometheus.queryRange(substituted(expression), beganMs, endedMs, SCRAPE_MS);

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-dashboards-'));
    nvml = await buildFakeNvml({ gpus: 2, watts: [110, 220] });
    vi.stubEnv('NVML_LIBRARY_PATH', nvml.libraryPath);
    nats = await startNats();
    coordinator = await startCoordinator({
      natsUrl: nats.url,
      token: null,
      grpcPort: 0,
      httpPort: 0,
      coordinatorId: 'c1',
      leaseTtlMs: 15_000,
      trainerTtlMs: 5_000,
      lostAfterMs: 60_000,
      logLevel: 'silent',
    });
    beganMs = Date.now();
    prometheus = await startPrometheus({
      target: coordinator.httpAddress,
      scrapeIntervalMs: SCRAPE_MS,
      ruleFiles: [join(root, 'deploy/prometheus/rules/*.yml')],
    });
    trainer = await startTrainer({
      natsUrl: nats.url,
      trainerId: 'box',
      dataDir,
      allowCommands: ['node'],
      runnerCommand: program('services/trainer/runner/main.ts'),
      supervisorCommand: program('services/trainer/supervisor/main.ts'),
      logLevel: 'silent',
    });
    client = new Coordinator({ address: coordinator.grpcAddress, token: null });
    const { sweepId } = await client.submit({ yaml: sweepFile, overrides: [], requestId: 'r1', tags: [] });
    await vi.waitFor(
      async () => {
        const { sweep } = await client.get(sweepId);
        expect(sweep?.state).toBe(SweepState.COMPLETED);
      },
      { timeout: 60_000, interval: 500 },
    );
    // The last events, scraped twice, and the rules evaluated on them.
    await new Promise((resolve) => setTimeout(resolve, 4 * SCRAPE_MS));
    endedMs = Date.now();
  });

  afterAll(async () => {
    client.close();
    await trainer.close({ drain: true });
    await prometheus.stop();
    await coordinator.close();
    await nats.stop();
    await nvml.remove();
    await rm(dataDir, { recursive: true, force: true });
    vi.unstubAllEnvs();
  });

  const queries = dashboards.flatMap(({ title, panels }) =>
    panels.flatMap((panel) => (panel.targets ?? []).map(({ expr }) => [title, panel.title, expr] as const)),
  );

  test.each(queries)('%s, %s: %s', async (_dashboard, _panel, expression) => {
    const found = await overTime(expression);
    expect(found.flatMap(({ values }) => values).some(Number.isFinite)).toBe(true);
  });

  const variables = dashboards.flatMap(({ title, templating }) =>
    templating.list.flatMap(({ name, definition }) =>
      definition === undefined ? [] : [[title, name, definition] as const],
    ),
  );

  test.each(variables)('%s, variable %s: %s', async (_dashboard, _name, definition) => {
    const [, selector = '', label = ''] = /^label_values\((.*), *(\w+)\)$/.exec(definition) ?? [];
    const found = await prometheus.query(substituted(selector));
    expect(found.filter(({ labels }) => labels[label] !== undefined)).not.toEqual([]);
  });

  const records = rules.groups.flatMap((group) => group.rules.map(({ record }) => record));

  test.each(records)('recording rule %s', async (record) => {
    expect(await overTime(record)).not.toEqual([]);
  });

  test('the watts are those of each GPU, with what read them, and never 0', async () => {
    const found = await overTime('wattsweep_device_power_watts');
    const byDevice = Object.fromEntries(
      found.map(({ labels, values }) => [labels['device'] ?? '', [labels['method'], values.at(-1)]]),
    );
    for (const [index, { uuid, watts }] of nvml.gpus.entries()) {
      expect(byDevice[uuid], `GPU ${index}`).toEqual([
        expect.stringMatching(/^nvml-/),
        expect.closeTo(watts, 0),
      ]);
    }
    expect(await overTime('{__name__=~"wattsweep_.*(watts|joules_total)"} == 0')).toEqual([]);
  });

  test('the series of trials were those of trials that held a slot: two at a time, and what had just ended', async () => {
    const [held] = await overTime('max_over_time(count(wattsweep_trial_info)[1m:500ms])');
    expect(Math.max(...(held?.values ?? []))).toBe(2);
  });

  test('what Prometheus keeps is what the coordinator says', async () => {
    const { sweep, trials } = await client.get('');
    const epochs = trials.reduce((sum, trial) => sum + trial.epoch, 0);
    expect((await prometheus.query('wattsweep_epochs_accepted_total'))[0]?.values).toEqual([epochs]);
    const ended = await prometheus.query('sum(wattsweep_trials{state=~"succeeded|stopped"})');
    expect(ended[0]?.values).toEqual([4]);
    const [joules] = await prometheus.query('sum(wattsweep_sweep_spent_energy_joules_total)');
    expect(joules?.values[0]).toBeCloseTo(sweep?.joules ?? NaN, 3);
  });

  test('a GPU that nothing can read any more has no watts, and keeps what can be read', async () => {
    const [, second] = nvml.gpus;
    await nvml.set(1, { power: false, counter: false });
    await vi.waitFor(
      async () => {
        const series = parseExposition(
          await (await fetch(`http://${coordinator.httpAddress}/metrics`)).text(),
        );
        const device = { device: second?.uuid ?? '' };
        expect(sample(series, 'wattsweep_device_power_watts', device)).toBeUndefined();
        expect(sample(series, 'wattsweep_device_energy_joules_total', device)).toBeUndefined();
        expect(sample(series, 'wattsweep_device_temperature_celsius', device)).toBe(60);
      },
      { timeout: 10_000, interval: 250 },
    );
  });
});
