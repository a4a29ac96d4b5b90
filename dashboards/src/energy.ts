/** Watts and joules, with what read them. A device that nothing reads is absent. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { metrics } from '../../proto/metrics.js';
import { bars, graph, now, overTime, select, stacked, sumBy, maxBy } from './common.js';

const BY_DEVICE = ['trainer', 'device'];
const DEVICE = '{{trainer}} {{device}}';

export const withEnergy = (dashboard: DashboardBuilder): DashboardBuilder =>
  dashboard
    .withRow(new RowBuilder('Power and energy'))
    .withPanel(
      stacked({
        title: 'Watts by device',
        description:
          'Power of each GPU (or CPU) with a meter, and what reads it. `estimate` is not a reading.',
        unit: units.Watt,
      }).withTarget(
        overTime(sumBy([...BY_DEVICE, 'method'], select(metrics.devicePower)), `${DEVICE} ({{method}})`),
      ),
    )
    .withPanel(
      stacked({
        title: 'Joules by sweep',
        description: 'Joules of accepted epochs, training and evaluation, since the sweep began.',
        unit: units.Joule,
      }).withTarget(
        overTime(sumBy(['sweep', 'method'], select(metrics.sweepEnergy)), '{{sweep}} ({{method}})'),
      ),
    )
    .withPanel(
      bars({
        title: 'Joules by device',
        description: 'Energy of each device within the time range, idle time included.',
        unit: units.Joule,
      }).withTarget(
        now(
          sumBy([...BY_DEVICE, 'method'], `increase(${select(metrics.deviceEnergy)}[$__range])`),
          `${DEVICE} ({{method}})`,
        ),
      ),
    )
    .withPanel(
      graph({
        title: 'Joules by trial',
        description: 'Joules of the accepted epochs of each trial that holds a slot.',
        unit: units.Joule,
      })
        .min(0)
        .withTarget(
          overTime(sumBy(['sweep', 'trial', 'method'], select(metrics.trialEnergy)), '{{sweep}} {{trial}}'),
        ),
    )
    .withPanel(
      graph({
        title: 'Utilisation by device',
        description: 'Share of time in which the device computed.',
        unit: units.PercentUnit,
      })
        .min(0)
        .max(1)
        .withTarget(overTime(maxBy(BY_DEVICE, select(metrics.deviceUtilization)), DEVICE)),
    )
    .withPanel(
      graph({
        title: 'Temperature by device',
        description: 'A hotter device leaks more: runs are compared best at the same temperature.',
        unit: units.Celsius,
      }).withTarget(overTime(maxBy(BY_DEVICE, select(metrics.deviceTemperature)), DEVICE)),
    )
    .withPanel(
      graph({
        title: 'Power limit by device',
        description: 'Watts that each GPU may draw; a sweep over gpu_power_limit_watts shows as steps.',
        unit: units.Watt,
      })
        .min(0)
        .withTarget(overTime(maxBy(BY_DEVICE, select(metrics.devicePowerLimit)), DEVICE)),
    )
    .withPanel(
      graph({
        title: 'Clock by device',
        description: "Clock of each GPU's processors: lower when it is hot, or at its power limit.",
        unit: units.Hertz,
      })
        .min(0)
        .withTarget(
          overTime(maxBy(BY_DEVICE, select(metrics.deviceClock, { clock: '="processors"' })), DEVICE),
        ),
    )
    .withPanel(
      graph({
        title: 'Throttled by',
        description:
          'What keeps the clocks of each GPU down now (1). Heat and power brakes make trials of the same setting differ.',
        unit: units.Short,
      })
        .min(0)
        .max(1)
        .withTarget(
          overTime(
            maxBy([...BY_DEVICE, 'reason'], select(metrics.deviceThrottled, { reason: '!="idle"' })),
            `${DEVICE} {{reason}}`,
          ),
        ),
    )
    .withPanel(
      graph({
        title: 'Device memory in use',
        description: 'Memory of each device that is in use, by whatever program.',
        unit: units.BytesIEC,
      })
        .min(0)
        .withTarget(overTime(maxBy(BY_DEVICE, select(metrics.deviceMemoryUsed)), DEVICE)),
    );
