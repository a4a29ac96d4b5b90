/** The dashboard of the coordinators themselves: leadership, the ledger, and what goes in and out. */
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { metrics } from '../../proto/metrics.js';
import { dashboard, graph, maxBy, overTime, rate, select, stacked, sumBy } from './common.js';

const appendQuantile = (quantile: number) =>
  overTime(
    `histogram_quantile(${quantile}, ${sumBy(['le'], rate(select(metrics.ledgerAppendDuration, {}, '_bucket')))})`,
    `p${quantile * 100}`,
  );

export const coordinatorDashboard = (): Dashboard =>
  dashboard(
    'wattsweep-coordinator',
    'Wattsweep: coordinator',
    'Who leads, how fast the ledger takes appends, and what the coordinators take in and send out.',
  )
    .withRow(new RowBuilder('Ledger'))
    .withPanel(
      graph({
        title: 'Leader',
        description:
          '1 for the coordinator that leads. Two at once: the deposed one is fenced at its next append.',
        unit: units.Short,
      })
        .min(0)
        .withTarget(overTime(maxBy(['instance'], select(metrics.leader)), '{{instance}}')),
    )
    .withPanel(
      graph({
        title: 'Term of the ledger',
        description: 'Rises by one with each new leader.',
        unit: units.Short,
      }).withTarget(overTime(maxBy(['instance'], select(metrics.term)), '{{instance}}')),
    )
    .withPanel(
      graph({
        title: 'Seconds per append',
        description: 'From sending an append to its acknowledgement, disk synchronisation included.',
        unit: units.Seconds,
      })
        .min(0)
        .withTarget(appendQuantile(0.5))
        .withTarget(appendQuantile(0.99)),
    )
    .withPanel(
      stacked({
        title: 'Appends per second',
        description: 'By result. `fenced`: another leader had written first.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['result'], rate(select(metrics.ledgerAppends))), '{{result}}')),
    )
    .withRow(new RowBuilder('In and out'))
    .withPanel(
      stacked({
        title: 'Inputs per second',
        description: 'Inputs that the core decided on, by type.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['input'], rate(select(metrics.inputsDecided))), '{{input}}')),
    )
    .withPanel(
      stacked({
        title: 'Reports per second',
        description: 'Epochs and ends of attempts, taken from the stream of reports.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['instance'], rate(select(metrics.reportsConsumed))), '{{instance}}')),
    )
    .withPanel(
      stacked({
        title: 'Commands per second',
        description: 'Calls to trainers, by how they went.',
        unit: units.Short,
      }).withTarget(
        overTime(sumBy(['command', 'result'], rate(select(metrics.commandsSent))), '{{command}} {{result}}'),
      ),
    )
    .withPanel(
      stacked({
        title: 'Telemetry per second',
        description: 'Messages with steps and watts, by whether they could be read.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['result'], rate(select(metrics.telemetryBatches))), '{{result}}')),
    )
    .build();
