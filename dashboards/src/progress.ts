/** How far the sweeps are. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { metrics } from '../../proto/metrics.js';
import { bars, graph, maxBy, now, overTime, select, stacked, stat, sumBy } from './common.js';

const OPEN = { state: '=~"queued|starting|running|paused"' };
const HOLDING_A_SLOT = { state: '=~"starting|running"' };
const ENDED = { state: '=~"succeeded|stopped|diverged|failed|cancelled"' };

const total = (expression: string): string => `sum(${expression})`;

export const withProgress = (dashboard: DashboardBuilder): DashboardBuilder =>
  dashboard
    .withRow(new RowBuilder('Progress'))
    .withPanel(
      stat({
        title: 'Trials with a slot',
        description: 'Trials that are starting or computing.',
        unit: units.Short,
      }).withTarget(now(total(select(metrics.trials, HOLDING_A_SLOT)), 'trials')),
    )
    .withPanel(
      stat({
        title: 'Trials not ended',
        description: 'Trials that wait, compute or are paused; the search may still create more.',
        unit: units.Short,
      }).withTarget(now(total(select(metrics.trials, OPEN)), 'trials')),
    )
    .withPanel(
      stat({
        title: 'Trials ended',
        description: 'Trials that succeeded, were stopped or cancelled, diverged or failed.',
        unit: units.Short,
      }).withTarget(now(total(select(metrics.trials, ENDED)), 'trials')),
    )
    .withPanel(
      stat({
        title: 'Epochs accepted',
        description: 'Epochs in the ledger. One that had to be trained again counts once.',
        unit: units.Short,
      }).withTarget(now(total(select(metrics.epochsAccepted)), 'epochs')),
    )
    .withPanel(
      stacked({
        title: 'Trials by state',
        description: 'All trials of the sweeps that are selected, by state.',
        unit: units.Short,
      }).withTarget(overTime(sumBy(['state'], select(metrics.trials)), '{{state}}')),
    )
    .withPanel(
      graph({
        title: 'Epoch by trial',
        description: 'Last accepted epoch of each trial that holds a slot.',
        unit: units.Short,
      })
        .min(0)
        .withTarget(overTime(maxBy(['sweep', 'trial'], select(metrics.trialEpoch)), '{{sweep}} {{trial}}')),
    )
    .withPanel(
      bars({
        title: 'Decisions by rule',
        description: 'What the stopping rules have said of reports so far, by rule and action.',
        unit: units.Short,
      }).withTarget(now(sumBy(['rule', 'action'], select(metrics.decisions)), '{{rule}} {{action}}')),
    )
    .withPanel(
      bars({
        title: 'Attempts ended, by how',
        description: 'Completed and stopped ones are well; lost and preempted ones ran again elsewhere.',
        unit: units.Short,
      }).withTarget(now(sumBy(['class'], select(metrics.attemptsEnded)), '{{class}}')),
    );
