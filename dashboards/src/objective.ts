/** What the trials reach: the objective, the loss, and how fast they train. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { metrics } from '../../proto/metrics.js';
import { graph, maxBy, overTime, select } from './common.js';

const BY_TRIAL = ['sweep', 'trial'];
const TRIAL = '{{sweep}} {{trial}}';

export const withObjective = (dashboard: DashboardBuilder): DashboardBuilder =>
  dashboard
    .withRow(new RowBuilder('Objective'))
    .withPanel(
      graph({
        title: 'Objective by trial',
        description:
          'The metric that the sweep optimises, e.g. validation accuracy, at the last epoch of each trial that holds a slot.',
        unit: units.Short,
      })
        .decimals(4)
        .withTarget(overTime(maxBy(BY_TRIAL, select(metrics.trialObjective)), TRIAL)),
    )
    .withPanel(
      graph({
        title: 'Best objective by sweep',
        description: 'Best value of any trial so far, and the target where the sweep has one.',
        unit: units.Short,
      })
        .decimals(4)
        .withTarget(overTime(maxBy(['sweep'], select(metrics.sweepBestObjective)), '{{sweep}}'))
        .withTarget(overTime(maxBy(['sweep'], select(metrics.sweepTarget)), '{{sweep}} target')),
    )
    .withPanel(
      graph({
        title: 'Training loss by trial',
        description: 'Loss at the last reported step or epoch. Gaps are values that were not finite.',
        unit: units.Short,
      }).withTarget(overTime(maxBy(BY_TRIAL, select(metrics.trialLoss)), TRIAL)),
    )
    .withPanel(
      graph({
        title: 'Learning rate by trial',
        description: 'Learning rate that the optimizer really used at the last reported step or epoch.',
        unit: units.Short,
      }).withTarget(overTime(maxBy(BY_TRIAL, select(metrics.trialLearningRate)), TRIAL)),
    )
    .withPanel(
      graph({
        title: 'Samples per second by trial',
        description: 'Training samples a second, waiting for data included.',
        unit: units.Short,
      })
        .min(0)
        .withTarget(overTime(maxBy(BY_TRIAL, select(metrics.trialSamplesPerSecond)), TRIAL)),
    )
    .withPanel(
      graph({
        title: 'Steps by trial',
        description:
          'Optimizer steps since the first of the trial. A fall is a resume from an earlier checkpoint.',
        unit: units.Short,
      })
        .min(0)
        .withTarget(overTime(maxBy(BY_TRIAL, select(metrics.trialStep)), TRIAL)),
    );
