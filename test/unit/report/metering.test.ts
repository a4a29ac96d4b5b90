import { describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { Energy } from '../../../services/coordinator/core/events.js';
import { toReportInput } from '../../../services/coordinator/fleet/convert.js';
import { meteringOf } from '../../../services/coordinator/report/analysis/metering.js';
import { buildReport, renderMarkdown } from '../../../services/coordinator/report/index.js';
import { BEGIN, sweepState } from '../../support/sweep-state.js';

const energy = (more: Partial<Energy>): Energy => ({
  joules: 1_000,
  meanWatts: 100,
  method: 'nvml-counter',
  absentReason: '',
  ...more,
});
const attempt = (more: Partial<Energy>) => ({
  end: { class: 'completed' as const, code: '', message: '', seconds: 10, fault: null, energy: energy(more) },
});

describe('how the energy of a trial was read', () => {
  it('is told by the worst of its attempts, and rest by the last', () => {
    const attempts = [
      attempt({ samplesPerSecond: 5, disagreement: 0.02, idleWatts: 20, share: 0.4 }),
      attempt({ samplesPerSecond: 4.5, coverage: 0.995, disagreement: 0.3, idleWatts: 30 }),
      { end: null },
    ];
    expect(meteringOf(attempts, 1_500, 10)).toEqual({
      coverage: 0.995,
      samplesPerSecond: 4.5,
      disagreement: 0.3,
      idleWatts: 30,
      share: 0.4,
      netJoules: 1_200,
    });
    expect(meteringOf(attempts, 100, 10).netJoules).toBe(0);
    expect(meteringOf(attempts, null, 10).netJoules).toBeNull();
  });

  it('is not known of ledgers that did not tell, and of attempts that were not read', () => {
    const nothing = {
      samplesPerSecond: null,
      disagreement: null,
      idleWatts: null,
      share: null,
      netJoules: null,
    };
    expect(meteringOf([attempt({})], 1, 1)).toEqual({ coverage: null, ...nothing });
    const lost = attempt({ joules: null, meanWatts: null, method: '', coverage: 0.4 });
    expect(meteringOf([lost], null, 1)).toEqual({ coverage: 0.4, ...nothing });
  });

  it('comes with the end of an attempt; numbers that cannot be are left out', () => {
    const doubts: string[] = [];
    const convert = (told: object) =>
      toReportInput(
        {
          spoolLine: 1,
          fact: {
            $case: 'ended',
            value: {
              key: { sweepId: 's', trialId: 't', attempt: 1, termId: '' },
              class: AttemptEndClass.COMPLETED,
              code: '',
              message: '',
              energy: { joules: 5, meanWatts: 1, method: 'rapl', absentReason: '', ...told },
              atUnixMs: 1,
            },
          },
        },
        (sentence) => doubts.push(sentence),
      );
    const all = { coverage: 0.99, samplesPerSecond: 5, disagreement: 0.1, idleWatts: 9, share: 0.5 };
    expect(convert(all)).toMatchObject({ energy: { joules: 5, ...all } });
    expect(Object.keys((convert({}) as { energy: object }).energy)).toHaveLength(4);
    const odd = convert({ coverage: NaN, idleWatts: -3 }) as { energy: object };
    expect(Object.keys(odd.energy)).toHaveLength(4);
    expect(doubts).toHaveLength(2);
  });

  it('stands in the report, with a warning where counter and integral differ', () => {
    const state = sweepState({
      trials: [{ parameters: { batch_size: 32 }, values: [0.5, 0.6], watts: 100, seconds: 10 }],
    });
    const [trial] = state.trials.values();
    const last = trial!.attempts.at(-1)!;
    last.end = attempt({ samplesPerSecond: 5, disagreement: 0.25, coverage: 0.994, idleWatts: 40 }).end;
    const report = buildReport(state, { now: BEGIN + 7_200_000 });
    expect(report.trials[0]!.metering).toMatchObject({ disagreement: 0.25, idleWatts: 40 });
    expect(report.trials[0]!.metering.netJoules).toBeCloseTo(report.trials[0]!.joules! - 40 * 20, 6);
    expect(report.warnings.map(({ code }) => code)).toContain('meters_disagree');
    const text = renderMarkdown(report);
    expect(text).toContain('5.0 times a second, 99.4 % of the time at least; at rest 40 W');
    expect(text).toContain('differ, by up to 25 %');
    expect(text).not.toContain('shared a device');
    last.end = attempt({ samplesPerSecond: 5, share: 0.5 }).end;
    const shared = buildReport(state, { now: BEGIN + 7_200_000 });
    expect(shared.warnings.map(({ code }) => code)).toContain('shared_devices');
    expect(renderMarkdown(shared)).toContain('1 trial shared a device with others');
  });
});
