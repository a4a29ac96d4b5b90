import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { dashboards } from '../../../dashboards/src/index.js';
import { lint, panelsOf, type Dashboard, type Exclusion, type Panel } from './lint.js';

const folder = new URL('../../../dashboards/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Dashboard;

const exclusions: readonly Exclusion[] = [
  {
    rule: 'target-counter-agg',
    panels: ['Decisions by rule', 'Attempts ended, by how'],
    reason:
      'A series begins with its first event, which increase() cannot see; the total is what is asked for.',
  },
  {
    rule: 'target-counter-agg',
    panels: ['Epochs accepted', 'Joules by sweep', 'Joules by trial'],
    reason: 'The total since the sweep began is the number that the report has, too.',
  },
  {
    rule: 'target-rate-interval',
    panels: ['Joules by device'],
    reason: 'One number over the whole time range.',
  },
];

describe('committed dashboards', () => {
  test('are what the code makes', () => {
    const made = Object.fromEntries(dashboards().map((one) => [`${one.uid ?? ''}.json`, one]));
    expect(files.sort()).toEqual(Object.keys(made).sort());
    for (const name of files) expect(read(name)).toEqual(JSON.parse(JSON.stringify(made[name])));
  });

  test.each(files)('%s keeps the rules', (name) => {
    expect(lint(read(name), exclusions)).toEqual([]);
  });

  test('need every exclusion that is granted', () => {
    const findings = files.flatMap((name) => lint(read(name)));
    for (const { rule, panels } of exclusions) {
      for (const panel of panels) {
        expect(findings).toContainEqual(expect.objectContaining({ rule, where: panel }));
      }
    }
  });
});

describe('the rules', () => {
  const sound = read('wattsweep-sweep.json');
  const first = panelsOf(sound)[0] as Panel;
  const withPanel = (change: Partial<Panel>): Dashboard => ({
    ...sound,
    panels: (sound.panels ?? []).map((panel) => (panel === first ? { ...first, ...change } : panel)),
  });
  const asking = (expr: string) => withPanel({ targets: [{ expr, datasource: { uid: '${datasource}' } }] });
  const matchers = 'job=~"$job", instance=~"$instance"';

  test.each<[string, Dashboard]>([
    ['uneditable-dashboard', { ...sound, editable: true }],
    ['dashboard-identity', { ...sound, uid: '' }],
    ['panel-ids', withPanel({ id: 1 })],
    ['panel-overlap', withPanel({ gridPos: { x: 0, y: 0, w: 24, h: 9 } })],
    ['panel-title-description', withPanel({ description: '' })],
    ['panel-units', withPanel({ fieldConfig: {} })],
    ['panel-datasource', withPanel({ datasource: { uid: 'prometheus' } })],
    ['panel-no-targets', withPanel({ targets: [] })],
    ['target-promql', asking('sum by (')],
    ['target-job', asking('wattsweep_leader{instance=~"$instance"}')],
    ['target-instance', asking('wattsweep_leader{job=~"$job"}')],
    ['target-rate-interval', asking(`rate(wattsweep_decisions_total{${matchers}}[5m])`)],
    ['target-counter-agg', asking(`sum(wattsweep_decisions_total{${matchers}})`)],
    ['metric-exists', asking(`wattsweep_trails{${matchers}}`)],
    ['metric-exists', asking(`wattsweep_trials{${matchers}, stat="running"}`)],
    ['metric-exists', asking(`sum by (trial) (wattsweep_trials{${matchers}})`)],
    ['template-datasource', { ...sound, templating: { list: [] } }],
    ['template-job', { ...sound, templating: { list: [] } }],
  ])('%s is found', (rule, dashboard) => {
    expect(lint(dashboard, exclusions).map((finding) => finding.rule)).toContain(rule);
  });

  test.each<[string, object]>([
    ['template-label', { label: '' }],
    ['template-multi', { multi: false }],
    ['template-all-value', { allValue: '.*' }],
    ['template-on-time-change-reload', { refresh: 1 }],
    ['template-label-promql', { definition: 'label_values(up{, sweep)' }],
    ['metric-exists', { definition: 'label_values(wattsweep_sweep_info, trial)' }],
  ])('%s is found in a variable', (rule, change) => {
    const list = (sound.templating?.list ?? []).map((one) =>
      one.name === 'sweep' ? { ...one, ...change } : one,
    );
    expect(lint({ ...sound, templating: { list } }, exclusions).map((finding) => finding.rule)).toContain(
      rule,
    );
  });
});
