/** Writes docs/metrics.md from the definitions in metrics.ts. Run by `npm run gen`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { labels, metrics, type MetricDefinition } from './metrics.js';

const cell = (text: string): string => text.replaceAll('|', '\\|');

const row = ({ name, type, unit, labels: names, help }: MetricDefinition): string =>
  `| \`${name}\` | ${type} | ${unit === 'none' ? '' : unit} | ${names.map((label) => `\`${label}\``).join(' ')} | ${cell(help)} |`;

const buckets = ({ name, buckets: bounds }: MetricDefinition): string =>
  `- \`${name}\`: ${bounds.join(', ')}`;

const all: readonly MetricDefinition[] = Object.values(metrics);

const text = `# Metrics

The coordinator answers \`GET /metrics\` in the Prometheus text format. Dashboards are in \`dashboards/\`, rules in
\`deploy/prometheus/\`.

- What is about sweeps, trials, trainers and devices is exported by the leader only, so a sum over coordinators counts
  once. What is about the coordinator itself, each exports.
- What could not be read is absent, never 0: a device without a power meter has no \`wattsweep_device_power_watts\`.
- The label \`trial\` is only on metrics of trials that hold a slot (at most 1,000 at a time); a finished trial stays for
  two scrapes. Hyperparameters are never labels: \`wattsweep report\` and \`wattsweep status --json\` join them to trials.
- Beside these come the usual \`process_*\` and \`nodejs_*\` metrics of the coordinator's process.

| name | type | unit | labels | |
|---|---|---|---|---|
${all.map(row).join('\n')}

## Labels

| label | |
|---|---|
${Object.entries(labels)
  .map(([name, help]) => `| \`${name}\` | ${cell(help)} |`)
  .join('\n')}

## Buckets of histograms

${all
  .filter(({ type }) => type === 'histogram')
  .map(buckets)
  .join('\n')}
`;

const folder = new URL('../docs/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('metrics.md', folder), text);
