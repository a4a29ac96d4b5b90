/**
 * Telemetry to Prometheus: what `/metrics` answers. It joins the core's state (sweeps, trials, fleet) with the live
 * TELEMETRY stream (steps, watts); only the leader exports these, so that sums over coordinators count once. Here live
 * the tables of the latest readings, the sums over epochs and the series; not here: the HTTP server that serves the
 * text, the names (`proto/metrics.ts`), and anything that decides.
 */
import { Registry } from 'prom-client';
import { TelemetryBatch } from '../../../proto/gen/wattsweep/v1/facts.js';
import { metrics } from '../../../proto/metrics.js';
import { isToken } from '../../../proto/subjects.js';
import type { State } from '../core/state.js';
import { addFleet } from './fleet.js';
import { createCoordinatorMetrics, type CoordinatorMetrics } from './internals.js';
import { LiveTelemetry } from './live.js';
import {
  exposition,
  makeCounter,
  makeHistogram,
  registerProcessMetrics,
  registerSnapshotMetric,
  Snapshot,
} from './registry.js';
import { followTelemetry, type TelemetryLink } from './source.js';
import { addSweeps } from './sweeps.js';
import { Tallies } from './tally.js';

export type { CoordinatorMetrics } from './internals.js';
export type { TelemetryLink } from './source.js';

export interface TelemetryOptions {
  /** The coordinator's NATS adapter. */
  readonly link: TelemetryLink;
  /** The state as it stands; read at each scrape. */
  readonly getState: () => State;
  readonly isLeader: () => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Version of Wattsweep. */
  readonly version: string;
}

export interface Telemetry {
  /** The exposition of all metrics, in the classic text format. */
  metricsText(): Promise<string>;
  /** Content type of {@link metricsText}. */
  readonly contentType: string;
  /** To be told by the coordinator's other rooms. */
  readonly coordinator: CoordinatorMetrics;
  close(): Promise<void>;
}

/**
 * Follows the live telemetry and is then ready for scrapes. The TELEMETRY stream must exist.
 * @throws NATS_UNREACHABLE
 */
export async function createTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const registry = new Registry();
  const live = new LiveTelemetry();
  const coordinator = createCoordinatorMetrics(registry);
  const batches = makeCounter(registry, metrics.telemetryBatches);
  for (const result of ['ok', 'failed'] as const) batches.inc({ result }, 0);
  const tallies = createTallies(registry);

  let snapshot = new Snapshot();
  for (const definition of Object.values(metrics)) {
    if (registry.getSingleMetric(definition.name) !== undefined) continue;
    registerSnapshotMetric(registry, definition, () => snapshot);
  }
  registerProcessMetrics(registry);

  const subscription = await followTelemetry(options.link, (payload) => {
    const batch = decode(payload);
    batches.inc({ result: batch === undefined ? 'failed' : 'ok' });
    if (batch !== undefined) live.take(batch, options.now());
  });

  const look = (): Snapshot => {
    const nowMs = options.now();
    const state = options.getState();
    const leads = options.isLeader();
    const next = new Snapshot();
    next.add(metrics.buildInfo, { version: options.version }, 1);
    next.add(metrics.leader, {}, leads ? 1 : 0);
    next.add(metrics.term, {}, state.term);
    if (leads) {
      addSweeps(next, state, tallies, live, nowMs);
      addFleet(next, state, live, nowMs);
    } else {
      tallies.keepOnly(new Set());
    }
    live.prune(nowMs, (trainerId) => state.trainers.has(trainerId));
    return next;
  };

  return {
    contentType: registry.contentType,
    coordinator,
    metricsText: () => {
      // Every `collect` runs before the first await inside prom-client, so one scrape sees one snapshot.
      snapshot = look();
      return exposition(registry);
    },
    close: () => subscription.close(),
  };
}

function createTallies(registry: Registry): Tallies {
  const epochs = makeHistogram(registry, metrics.epochDuration);
  const trials = makeHistogram(registry, metrics.trialDuration);
  return new Tallies({
    epoch: (sweep, seconds) => epochs.observe({ sweep }, seconds),
    trial: (sweep, seconds) => trials.observe({ sweep }, seconds),
    forget: (sweep) => {
      epochs.remove({ sweep });
      trials.remove({ sweep });
    },
  });
}

/** The batch, or undefined for bytes that are none. */
function decode(payload: Uint8Array): TelemetryBatch | undefined {
  try {
    const batch = TelemetryBatch.decode(payload);
    return isToken(batch.trainerId) ? batch : undefined;
  } catch {
    return undefined;
  }
}
