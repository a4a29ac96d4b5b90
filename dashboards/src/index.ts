/**
 * Grafana dashboards as code: a file per topic, `common.ts` for what they share. `dashboards.gen.ts` writes the JSON that
 * Grafana's file provisioning reads (`deploy/grafana/`). Not here: metric names (`proto/metrics.ts`) and rules.
 */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dashboard, sweepVariable } from './common.js';
import { coordinatorDashboard } from './coordinator.js';
import { withEnergy } from './energy.js';
import { withFleet } from './fleet.js';
import { withObjective } from './objective.js';
import { withProgress } from './progress.js';

const sweepDashboard = (): Dashboard =>
  [withProgress, withObjective, withEnergy, withFleet]
    .reduce(
      (builder, withTopic) => withTopic(builder),
      dashboard(
        'wattsweep-sweep',
        'Wattsweep: sweep',
        'Progress, accuracy, watts and joules of running sweeps, trial by trial and device by device.',
      ).withVariable(sweepVariable()),
    )
    .build();

const REF_IDS = 'ABCDEFGH';

/** Every dashboard, with panels and queries named in order, so that links to them last. */
export const dashboards = (): readonly Dashboard[] =>
  [sweepDashboard(), coordinatorDashboard()].map((one) => ({
    ...one,
    panels: one.panels?.map((panel, index) => ({ ...panel, id: index + 1, ...namedTargets(panel) })) ?? [],
  }));

type Panel = NonNullable<Dashboard['panels']>[number];

function namedTargets(panel: Panel): object {
  if (!('targets' in panel)) return {};
  return { targets: panel.targets.map((target, index) => ({ ...target, refId: REF_IDS[index] })) };
}
