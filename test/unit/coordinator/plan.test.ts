/** What a plan says of a fleet: costs by its past trials, and refusals. */
import { describe, expect, it } from 'vitest';
import { WattsweepError } from '../../../proto/errors.js';
import { planOnFleet } from '../../../services/coordinator/api/plan.js';
import type { TrainerInfo } from '../../../services/coordinator/core/index.js';
import type { Plan } from '../../../services/coordinator/spec/index.js';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';

const gpu = (trainerId: string, model: string, over: Partial<TrainerInfo> = {}): TrainerInfo => {
  const slot = { slotId: 'slot0', deviceKind: 'gpu' as const, deviceModel: model, deviceUuids: [] };
  return trainer(trainerId, 1, { slots: [slot], powerMethod: 'nvml-counter', ...over });
};

/** A fleet of one box a model, on which batch sizes 32 and 64 ran two epochs each; seconds and joules by model. */
function fleet(boxes: Readonly<Record<string, { seconds: number; joules: number | null }>>): World {
  const world = new World();
  world.join(...Object.keys(boxes).map((model) => gpu(model, model)));
  for (const [model, { seconds, joules: used }] of Object.entries(boxes)) {
    const resources = { gpus: null, device: model };
    const sweep = [{ name: 'batch_size', domain: { kind: 'list' as const, values: [32, 64] } }];
    world.submit(sweepSpec({ maxEpochs: 2, sweep, resources }), `past-${model}`);
    for (let left = 2; left > 0; left--) {
      const start = world.running().at(-1)!;
      world.feed({
        type: 'reported',
        trainerId: model,
        report: {
          kind: 'started',
          ...{ sweepId: start.sweepId, trialId: start.trialId, attempt: start.attempt },
          ...{ deviceKind: 'gpu', deviceModel: model, engine: {} },
          ...{ trainableParameters: null, stepsPerEpoch: null, resumedEpoch: 0 },
        },
        at: world.now,
      });
      const slower = start.parameters['batch_size'] === 32 ? 2 : 1;
      const train = used === null ? {} : { train: joules(used * slower) };
      for (const epoch of [1, 2])
        world.epoch(
          start,
          epochRecord(epoch, 0.5, { trainSeconds: seconds * slower, evaluationSeconds: 0, ...train }),
        );
      world.end(start, 'completed');
    }
  }
  return world;
}

const file = (...lines: string[]): string =>
  [
    'name: next',
    'recipe: resnet-cifar10',
    'objective: { metric: val_accuracy }',
    'max_epochs: 10',
    'sweep: { batch_size: [32, 64] }',
    ...lines,
  ].join('\n');

const planned = (world: World, ...lines: string[]): Plan =>
  JSON.parse(planOnFleet(world.state, { yaml: file(...lines), overrides: [], limit: 5 }).planJson) as Plan;

const refusal = (world: World, ...lines: string[]): string => {
  try {
    planned(world, ...lines);
  } catch (error) {
    return error instanceof WattsweepError ? error.code : String(error);
  }
  return 'none';
};

describe('plan on a fleet', () => {
  it('takes what the same settings took on the same device model', () => {
    const plan = planned(fleet({ v100: { seconds: 18, joules: 3600 } }));
    // 10 epochs at 36 s and 10 at 18 s; 2 Wh and 1 Wh.
    expect(plan.upper.slotHours).toBeCloseTo(540 / 3600, 9);
    expect(plan.upper.wattHours).toBeCloseTo(30, 9);
    expect(plan.costBasis).toBe('v100: 27.0 s an epoch, from 2 past trials that share all parameters');
  });

  it('shares epochs among device models by their speed', () => {
    const plan = planned(fleet({ slow: { seconds: 30, joules: 3600 }, fast: { seconds: 10, joules: 1800 } }));
    // Of 4 epochs the fast box trains 3: with 15 s and 45 s a mean epoch takes a slot 22.5 s.
    expect(plan.upper.slotHours).toBeCloseTo((20 * 22.5) / 3600, 9);
    expect(plan.upper.hours).toBeCloseTo((10 * 22.5) / 3600, 9);
    expect(plan.upper.wattHours).toBeCloseTo(20 * (0.75 * 0.75 + 0.25 * 1.5), 9);
    expect(planned(fleet({ slow: { seconds: 30, joules: null } })).upper.wattHours).toBeNull();
  });

  it('takes the nearest settings for new ones, and says so', () => {
    const plan = planned(fleet({ v100: { seconds: 18, joules: null } }), 'fixed: { depth: 20 }');
    expect(plan.costBasis).toContain('share at least 1 of 2 parameters');
  });

  it('knows nothing of trials whose epochs took no time', () => {
    expect(planned(fleet({ v100: { seconds: 0, joules: 10 } })).costBasis).toBe('');
  });

  it('lists no more points than it can at once', () => {
    const request = { yaml: file(), overrides: [], limit: 4_000_000_000 };
    expect(() => planOnFleet(new World().state, request)).toThrow('lists 1000 points at most');
  });

  it('knows nothing without past trials', () => {
    const world = new World();
    world.join(gpu('a', 'v100'));
    expect(planned(world)).toMatchObject({ costBasis: '', upper: { slotHours: null, wattHours: null } });
  });

  it('refuses an energy budget that nobody who could run the sweep can measure, unless hours stand beside it', () => {
    const world = new World();
    const budget = 'budget: { energy_wh: 5 }';
    world.join(gpu('a', 'v100', { powerMethod: '' }));
    expect(refusal(world, budget)).toBe('BUDGET_WITHOUT_METER');
    expect(refusal(world, 'budget: { energy_wh: 5, hours: 1 }')).toBe('none');
    // A meter on a box that cannot take the sweep does not help; one beside it does, with a warning.
    world.join(gpu('b', 'v100', { recipes: ['replay'] }));
    expect(refusal(world, budget)).toBe('BUDGET_WITHOUT_METER');
    world.join(gpu('c', 'a100'));
    expect(refusal(world, budget, 'resources: { device: v100 }')).toBe('BUDGET_WITHOUT_METER');
    expect(planned(world, budget).warnings.join()).toContain('does not see what a uses');
  });

  it('warns when the budget ends before the sweep', () => {
    const world = fleet({ v100: { seconds: 18, joules: 3600 } });
    expect(planned(world, 'budget: { hours: 0.1, energy_wh: 20 }').warnings).toEqual([
      'budget.hours, 0.1, ends the sweep before its about 0.150 hours',
      'budget.energy_wh, 20, ends the sweep before its about 30.0 Wh',
    ]);
  });
});
