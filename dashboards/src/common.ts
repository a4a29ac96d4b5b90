/**
 * How every dashboard of ours looks and asks: variables, selectors that can only name metrics and labels of
 * `proto/metrics.ts`, and panels with their defaults.
 */
import {
  BigValueColorMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  SortOrder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizOrientation,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge';
import { PanelBuilder as HeatmapBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { metrics, type MetricDefinition } from '../../proto/metrics.js';

const datasource = { type: 'prometheus', uid: '${datasource}' };

/** Matchers beyond those of the variables, e.g. `{ state: '=~"running|starting"' }`. */
export type Matchers<D extends MetricDefinition> = Partial<Record<D['labels'][number], string>>;

/** The metric's series within what the variables select; `suffix` names a part of a histogram. */
export function select<const D extends MetricDefinition>(
  definition: D,
  matchers: Matchers<D> = {},
  suffix: '' | '_bucket' | '_sum' | '_count' = '',
): string {
  const names: readonly string[] = definition.labels;
  const all = [
    'job=~"$job"',
    'instance=~"$instance"',
    ...(names.includes('sweep') ? ['sweep=~"$sweep"'] : []),
    ...Object.entries<string | undefined>(matchers).map(([label, matcher]) => `${label}${matcher ?? ''}`),
  ];
  return `${definition.name}${suffix}{${all.join(', ')}}`;
}

/** Increase of a counter between two points of the graph. */
export const increase = (selector: string): string => `increase(${selector}[$__rate_interval])`;

export const rate = (selector: string): string => `rate(${selector}[$__rate_interval])`;

export const sumBy = (labels: readonly string[], expression: string): string =>
  `sum by (${labels.join(', ')}) (${expression})`;

export const maxBy = (labels: readonly string[], expression: string): string =>
  `max by (${labels.join(', ')}) (${expression})`;

/** A query over the dashboard's time range. */
export const overTime = (expression: string, legend: string): DataqueryBuilder =>
  new DataqueryBuilder().datasource(datasource).expr(expression).legendFormat(legend).range();

/** A query of the present moment. */
export const now = (expression: string, legend: string): DataqueryBuilder =>
  new DataqueryBuilder().datasource(datasource).expr(expression).legendFormat(legend).instant();

/** A query of a histogram's buckets. */
export const buckets = (expression: string): DataqueryBuilder =>
  overTime(expression, '{{le}}').format(PromQueryFormat.Heatmap);

export interface PanelText {
  readonly title: string;
  /** What it shows and how to read it, in a sentence or two. */
  readonly description: string;
  /** Of `@grafana/grafana-foundation-sdk/units`. */
  readonly unit: string;
}

/** Dashboards are 24 columns wide. */
const WIDTH = { quarter: 6, half: 12 } as const;
const GRAPH_HEIGHT = 8;
const STAT_HEIGHT = 4;

export const graph = ({ title, description, unit }: PanelText): TimeseriesBuilder =>
  new TimeseriesBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .height(GRAPH_HEIGHT)
    .span(WIDTH.half)
    .lineWidth(1)
    .fillOpacity(0)
    .showPoints(VisibilityMode.Auto)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Right)
        .showLegend(true)
        .calcs(['lastNotNull']),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));

/** A graph whose values add up. */
export const stacked = (text: PanelText): TimeseriesBuilder =>
  graph(text).fillOpacity(30).stacking(new StackingConfigBuilder().mode(StackingMode.Normal)).min(0);

const lastValue = (): ReduceDataOptionsBuilder => new ReduceDataOptionsBuilder().calcs(['lastNotNull']);

/** One number. */
export const stat = ({ title, description, unit }: PanelText): StatBuilder =>
  new StatBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .height(STAT_HEIGHT)
    .span(WIDTH.quarter)
    .colorMode(BigValueColorMode.None)
    .graphMode(BigValueGraphMode.None)
    .reduceOptions(lastValue());

/** A bar for each series. */
export const bars = ({ title, description, unit }: PanelText): BarGaugeBuilder =>
  new BarGaugeBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .height(GRAPH_HEIGHT)
    .span(WIDTH.half)
    .orientation(VizOrientation.Horizontal)
    .reduceOptions(lastValue());

/** Buckets of a histogram over time. */
export const heatmap = ({ title, description, unit }: PanelText): HeatmapBuilder =>
  new HeatmapBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .height(GRAPH_HEIGHT)
    .span(WIDTH.half)
    .calculate(false);

/** Values of a label, as a variable with All. */
const labelVariable = (name: string, label: string, description: string, query: string) =>
  new QueryVariableBuilder(name)
    .label(label)
    .description(description)
    .datasource(datasource)
    .query({ qryType: 1, query, refId: 'PrometheusVariableQueryEditor-VariableQuery' })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ selected: true, text: ['All'], value: ['$__all'] });

const { buildInfo, sweepInfo } = metrics;

export const sweepVariable = () =>
  labelVariable(
    'sweep',
    'Sweep',
    'Sweeps of the time range.',
    `label_values(${sweepInfo.name}{job=~"$job"}, sweep)`,
  );

/** An empty dashboard with the variables that all of ours have. */
export const dashboard = (uid: string, title: string, description: string): DashboardBuilder =>
  new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['wattsweep'])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('10s')
    .withVariable(
      new DatasourceVariableBuilder('datasource')
        .label('Data source')
        .type('prometheus')
        .current({ selected: true, text: 'Prometheus', value: 'prometheus' }),
    )
    .withVariable(
      labelVariable('job', 'Job', 'Scrape jobs of coordinators.', `label_values(${buildInfo.name}, job)`),
    )
    .withVariable(
      labelVariable(
        'instance',
        'Instance',
        'Coordinators; only the leader exports sweeps.',
        `label_values(${buildInfo.name}{job=~"$job"}, instance)`,
      ),
    );
