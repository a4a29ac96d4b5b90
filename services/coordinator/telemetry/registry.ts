/**
 * From metric definitions to prom-client. Whatever belongs to a sweep, a trial or a device is rebuilt from a snapshot
 * at each scrape, so that no series outlives what it describes, whoever led before; null is no sample, never 0.
 */
import { Counter, Gauge, Histogram, type Registry, collectDefaultMetrics } from 'prom-client';
import type { MetricDefinition } from '../../../proto/metrics.js';

export type LabelsOf<D extends MetricDefinition> = Readonly<Record<D['labels'][number], string>>;

/** Longest label value that is exported; what a trainer says of itself is not trusted to be short. */
const MAX_LABEL_LENGTH = 128;

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All samples of one scrape. */
export class Snapshot {
  readonly #samples = new Map<string, Sample[]>();

  /** Adds a sample; a null or undefined value adds none. */
  add<const D extends MetricDefinition>(
    definition: D,
    labels: LabelsOf<D>,
    value: number | null | undefined,
  ): void {
    if (value === null || value === undefined) return;
    if (definition.type === 'counter' && !(Number.isFinite(value) && value >= 0)) return;
    const short: Record<string, string> = {};
    for (const [name, text] of Object.entries<string>(labels)) short[name] = text.slice(0, MAX_LABEL_LENGTH);
    const list = this.#samples.get(definition.name);
    if (list === undefined) this.#samples.set(definition.name, [{ labels: short, value }]);
    else list.push({ labels: short, value });
  }

  of(definition: MetricDefinition): readonly Sample[] {
    return this.#samples.get(definition.name) ?? [];
  }
}

const configuration = (definition: MetricDefinition, registry: Registry) => ({
  name: definition.name,
  help: definition.help,
  labelNames: definition.labels,
  registers: [registry],
});

export const makeCounter = <const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
): Counter<D['labels'][number]> => new Counter<D['labels'][number]>(configuration(definition, registry));

export const makeHistogram = <const D extends MetricDefinition>(
  registry: Registry,
  definition: D,
): Histogram<D['labels'][number]> =>
  new Histogram<D['labels'][number]>({
    ...configuration(definition, registry),
    buckets: [...definition.buckets],
  });

/** Registers a gauge or counter whose series are, at each scrape, exactly the samples of the snapshot. */
export function registerSnapshotMetric(
  registry: Registry,
  definition: MetricDefinition,
  snapshot: () => Snapshot,
): void {
  if (definition.type === 'counter') {
    const counter = new Counter({
      ...configuration(definition, registry),
      collect: () => {
        counter.reset();
        for (const { labels, value } of snapshot().of(definition)) counter.inc({ ...labels }, value);
      },
    });
  } else {
    const gauge = new Gauge({
      ...configuration(definition, registry),
      collect: () => {
        gauge.reset();
        for (const { labels, value } of snapshot().of(definition)) gauge.set({ ...labels }, value);
      },
    });
  }
}

/** Gauges of prom-client whose names end in `_total`, which only a counter's may. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Memory, CPU, event loop and garbage collection of this process. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}

/** The exposition in the classic text format. prom-client spells NaN `Nan`, which strict parsers refuse. */
export const exposition = async (registry: Registry): Promise<string> =>
  (await registry.metrics()).replaceAll(/ Nan$/gm, ' NaN');
