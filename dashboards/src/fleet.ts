/** Where the trials run: trainers, slots, and how long epochs take there. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { metrics } from '../../proto/metrics.js';
import { buckets, graph, heatmap, increase, maxBy, overTime, select, stacked, sumBy } from './common.js';

export const withFleet = (dashboard: DashboardBuilder): DashboardBuilder =>
  dashboard
    .withRow(new RowBuilder('Fleet'))
    .withPanel(
      stacked({
        title: 'Slots',
        description:
          'Slots of trainers that are not lost, by whether an attempt holds them. Withheld: the trainer drains or is suspect.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['state'], select(metrics.slots)), '{{state}}')),
    )
    .withPanel(
      stacked({
        title: 'Trainers by state',
        description: 'Suspect trainers have missed their renewals; the attempts of lost ones run elsewhere.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['state'], select(metrics.trainers)), '{{state}}')),
    )
    .withPanel(
      heatmap({
        title: 'Seconds per epoch',
        description: 'How many accepted epochs took how long, training and evaluation together.',
        unit: units.Short,
      }).withTarget(buckets(sumBy(['le'], increase(select(metrics.epochDuration, {}, '_bucket'))))),
    )
    .withPanel(
      graph({
        title: 'Age of telemetry',
        description:
          'Seconds since the last telemetry of each trainer arrived; it comes about once a second.',
        unit: units.Seconds,
      })
        .min(0)
        .withTarget(
          overTime(`time() - ${maxBy(['trainer'], select(metrics.telemetryReceived))}`, '{{trainer}}'),
        ),
    );
