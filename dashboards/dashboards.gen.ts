/** Writes each dashboard as the JSON that Grafana reads. Run by `npm run gen`. */
import { writeFileSync } from 'node:fs';
import { dashboards } from './src/index.js';

for (const dashboard of dashboards()) {
  const file = new URL(`${dashboard.uid ?? ''}.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(dashboard, undefined, 2)}\n`);
}
