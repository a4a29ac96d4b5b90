/**
 * The rules of Grafana's dashboard-linter (github.com/grafana/dashboard-linter, docs/index.md) for classic dashboards on
 * Prometheus, and two of our own: metrics and labels exist, and panels do not overlap.
 */
import { definitionOf, groupingLabels, parses, selectors } from '../../support/promql.js';

interface Target {
  readonly expr?: string;
  readonly datasource?: { readonly uid?: string };
}

export interface Panel {
  readonly type: string;
  readonly id?: number;
  readonly title?: string;
  readonly description?: string;
  readonly datasource?: { readonly uid?: string };
  readonly fieldConfig?: { readonly defaults?: { readonly unit?: string } };
  readonly gridPos?: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly label?: string;
  readonly query?: unknown;
  readonly definition?: string;
  readonly multi?: boolean;
  readonly includeAll?: boolean;
  readonly allValue?: string;
  readonly refresh?: number;
  readonly datasource?: { readonly uid?: string };
}

export interface Dashboard {
  readonly uid?: string;
  readonly title?: string;
  readonly editable?: boolean;
  readonly panels?: readonly Panel[];
  readonly templating?: { readonly list?: readonly Variable[] };
}

export interface Finding {
  readonly rule: string;
  /** Title of the panel, name of the variable, or empty for the dashboard. */
  readonly where: string;
  readonly message: string;
}

/** A finding that is right here. */
export interface Exclusion {
  readonly rule: string;
  /** Titles of panels. */
  readonly panels: readonly string[];
  readonly reason: string;
}

const DATASOURCE = '${datasource}';
const ON_TIME_RANGE_CHANGED = 2;
const COUNTER_FUNCTIONS = ['rate', 'irate', 'increase'];
/** Labels that Prometheus itself adds. */
const TARGET_LABELS = ['job', 'instance', 'le'];

export const panelsOf = (dashboard: Dashboard): readonly Panel[] =>
  (dashboard.panels ?? []).filter(({ type }) => type !== 'row');

export function lint(dashboard: Dashboard, exclusions: readonly Exclusion[] = []): readonly Finding[] {
  const findings = [
    ...lintWhole(dashboard),
    ...(dashboard.templating?.list ?? []).flatMap(lintVariable),
    ...panelsOf(dashboard).flatMap(lintPanel),
  ];
  return findings.filter(
    ({ rule, where }) => !exclusions.some((one) => one.rule === rule && one.panels.includes(where)),
  );
}

function lintWhole(dashboard: Dashboard): Finding[] {
  const variables = dashboard.templating?.list ?? [];
  const finding = (rule: string, message: string): Finding => ({ rule, where: '', message });
  const panels = dashboard.panels ?? [];
  const ids = panels.map(({ id }) => id);
  return [
    ...(dashboard.editable === false ? [] : [finding('uneditable-dashboard', 'set editable to false')]),
    ...(dashboard.uid && dashboard.title ? [] : [finding('dashboard-identity', 'give it uid and title')]),
    ...(new Set(ids).size === ids.length && !ids.includes(undefined)
      ? []
      : [finding('panel-ids', 'number the panels, each once')]),
    ...(variables.some(({ name, type }) => name === 'datasource' && type === 'datasource')
      ? []
      : [finding('template-datasource', 'needs a variable `datasource`')]),
    ...['job', 'instance']
      .filter((name) => !variables.some((one) => one.name === name))
      .map((name) => finding(`template-${name}`, `needs a variable \`${name}\``)),
    ...panels.flatMap((one, index) =>
      panels
        .slice(index + 1)
        .filter((other) => overlap(one, other))
        .map((other) => finding('panel-overlap', `${one.title ?? ''} and ${other.title ?? ''}`)),
    ),
  ];
}

function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  if (a === undefined || b === undefined) return true;
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

function lintVariable(variable: Variable): Finding[] {
  const findings: Finding[] = [];
  const add = (rule: string, message: string) => findings.push({ rule, where: variable.name, message });
  if (!variable.label) add('template-label', 'has no label');
  if (variable.type === 'datasource') {
    if (variable.query !== 'prometheus') add('template-datasource', 'is not for Prometheus');
    if (variable.label !== 'Data source') add('template-datasource', 'its label is not `Data source`');
    return findings;
  }
  if (variable.datasource?.uid !== DATASOURCE) add('template-datasource', 'does not use $datasource');
  if (!variable.multi) add('template-multi', 'is not multi');
  if (!variable.includeAll || variable.allValue !== '.+') add('template-all-value', 'All is not `.+`');
  if (variable.refresh !== ON_TIME_RANGE_CHANGED) {
    add('template-on-time-change-reload', 'is not read again when the time range changes');
  }
  const [, selector = '', label = ''] =
    /^label_values\((.*), *(\w+)\)$/.exec(variable.definition ?? '') ?? [];
  if (!parses(selector)) add('template-label-promql', 'its query is no PromQL');
  for (const message of unknownNames(selector)) add('metric-exists', message);
  const metric = selectors(selector)[0]?.metric ?? '';
  const known: readonly string[] = [...(definitionOf(metric)?.labels ?? []), ...TARGET_LABELS];
  if (!known.includes(label)) add('metric-exists', `${metric} has no label ${label}`);
  return findings;
}

function lintPanel(panel: Panel): Finding[] {
  const findings: Finding[] = [];
  const add = (rule: string, message: string) => findings.push({ rule, where: panel.title ?? '', message });
  if (!panel.title || !panel.description) add('panel-title-description', 'needs both');
  if (!panel.fieldConfig?.defaults?.unit) add('panel-units', 'has no unit');
  if (panel.datasource?.uid !== DATASOURCE) add('panel-datasource', 'does not use $datasource');
  if (!panel.targets?.length) add('panel-no-targets', 'asks nothing');
  for (const { expr = '', datasource } of panel.targets ?? []) {
    if (datasource?.uid !== DATASOURCE) add('panel-datasource', 'a query does not use $datasource');
    if (!parses(expr)) add('target-promql', `is no PromQL: ${expr}`);
    for (const message of unknownNames(expr)) add('metric-exists', message);
    for (const { metric, matchers, range, calledBy } of selectors(expr)) {
      const counts = COUNTER_FUNCTIONS.includes(calledBy);
      if (counts && range !== '$__rate_interval') add('target-rate-interval', `${metric}[${range}]`);
      if (metric.endsWith('_total') && !counts) add('target-counter-agg', `${metric} without rate`);
      for (const name of ['job', 'instance']) {
        const right = matchers.some(
          (one) => one.label === name && one.operator === '=~' && one.value === `$${name}`,
        );
        if (!right) add(`target-${name}`, `${metric} lacks ${name}=~"$${name}"`);
      }
    }
  }
  return findings;
}

/** What the expression names that `proto/metrics.ts` does not know. */
export function unknownNames(expression: string): readonly string[] {
  const selected = selectors(expression);
  const labels = new Set<string>(TARGET_LABELS);
  const messages: string[] = [];
  for (const { metric, matchers } of selected) {
    const definition = definitionOf(metric);
    if (definition === undefined) messages.push(`there is no metric ${metric}`);
    for (const label of definition?.labels ?? []) labels.add(label);
    const own: readonly string[] = [...(definition?.labels ?? []), ...TARGET_LABELS];
    for (const { label } of matchers)
      if (!own.includes(label)) messages.push(`${metric} has no label ${label}`);
  }
  for (const label of groupingLabels(expression)) {
    if (!labels.has(label)) messages.push(`no metric of the expression has the label ${label}`);
  }
  return messages;
}
