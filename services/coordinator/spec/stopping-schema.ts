/** The shape of a stopping rule in a sweep file, and of a trial's limits. What the keys mean together: `stopping.ts`. */
import { z } from 'zod';

export const ashaSchema = z
  .strictObject({
    rule: z.literal('asha'),
    mode: z
      .enum(['stop', 'promote'])
      .default('stop')
      .describe('Losing trials are stopped; or every trial pauses at each rung, and the best are promoted.'),
    first_rung: z
      .int()
      .min(1)
      .optional()
      .describe('Epochs of the lowest rung. Default: max_epochs / eta^2, at least 1 and at least window.'),
    eta: z.int().min(2).max(1000).default(3).describe('About 1 in eta trials goes on at each rung.'),
    window: z.int().min(1).default(1).describe('The value at a rung is the mean of so many last epochs.'),
    compare_within: z
      .array(z.string())
      .default([])
      .describe('Rank only among trials that share these parameters, e.g. [batch_size].'),
    brackets: z
      .int()
      .min(1)
      .max(10)
      .default(1)
      .describe('Brackets s = 0, 1, ...; bracket s starts at first_rung * eta^s.'),
    pareto: z
      .array(z.enum(['joules', 'seconds']))
      .min(1)
      .optional()
      .describe('Rank by these costs, too, by non-dominated sorting; only with mode: stop.'),
  })
  .describe('Asynchronous successive halving (Li et al., arXiv 1810.05934). Counts epochs.');

export const patienceSchema = z
  .strictObject({
    rule: z.literal('patience'),
    patience: z.int().min(0).describe('Epochs in a row without improvement after which a trial stops.'),
    min_delta: z.number().min(0).default(0).describe('An improvement is larger than this.'),
    start_epoch: z.int().min(1).default(1).describe('Earlier epochs do not count.'),
  })
  .describe('Stop when the objective no longer improves, as Keras EarlyStopping.');

export const thresholdSchema = z
  .strictObject({
    rule: z.literal('threshold'),
    bound: z.number().describe('Stop a trial whose objective is worse than this.'),
    from_epoch: z.int().min(1).default(1).describe('First epoch that is looked at.'),
  })
  .describe('Stop trials that go nowhere.');

export const medianSchema = z
  .strictObject({
    rule: z.literal('median'),
    grace: z.int().min(0).default(1).describe('Epochs of a trial that are not judged.'),
    min_trials: z
      .int()
      .min(1)
      .default(3)
      .describe('Other trials that must have reached an epoch before it is judged.'),
  })
  .describe(
    'Stop a trial whose best value is worse than the median of the running averages of the others (Golovin et al., 2017).',
  );

export const hyperbandSchema = z
  .strictObject({
    rule: z.literal('hyperband'),
    eta: z.int().min(2).max(1000).default(3).describe('1 in eta trials goes on at each round.'),
  })
  .describe('Hyperband (Li et al., arXiv 1603.06560): brackets of rounds, up to max_epochs.');

export const energyToTargetSchema = z
  .strictObject({
    rule: z.literal('energy_to_target'),
    window: z.int().min(1).default(5).describe('Epochs of whose gains the largest is taken to last.'),
    optimism: z
      .number()
      .min(1)
      .max(1000)
      .default(2)
      .describe('Gains are taken to be so many times as large as the curves say.'),
    from_epoch: z.int().min(1).default(1).describe('First epoch that is judged.'),
  })
  .describe(
    'Stop a trial that cannot reach the target with fewer joules than the best one did, even by an optimistic bound.',
  );

const singleRules = [
  ashaSchema,
  patienceSchema,
  thresholdSchema,
  medianSchema,
  energyToTargetSchema,
] as const;

export const compositeSchema = z
  .strictObject({
    rule: z.literal('composite'),
    rules: z
      .array(z.discriminatedUnion('rule', [...singleRules]))
      .min(1)
      .max(10)
      .describe('Rules, each with its keys.'),
  })
  .describe('Several rules: any of them may stop a trial.');

export const moduleRuleSchema = z
  .strictObject({
    rule: z.literal('module'),
    module: z.string().min(1).max(200).describe("The file, seen from the coordinator's folder of modules."),
    options: z.record(z.string(), z.unknown()).default({}).describe('What the module is given.'),
  })
  .describe("A rule of one's own; only where the coordinator was started with --modules.");

export const noRuleSchema = z
  .strictObject({ rule: z.literal('none') })
  .describe('Every trial runs to max_epochs.');

export const stoppingSchema = z.union([
  z.enum(['asha', 'patience', 'threshold', 'median', 'energy_to_target', 'hyperband', 'none']),
  z.discriminatedUnion('rule', [
    ...singleRules,
    hyperbandSchema,
    compositeSchema,
    noRuleSchema,
    moduleRuleSchema,
  ]),
]);

export const trialLimitsSchema = z.strictObject({
  max_seconds: z.number().positive().optional().describe('Seconds of training and evaluation of a trial.'),
  max_energy_wh: z
    .number()
    .positive()
    .optional()
    .describe('Watt-hours of a trial; acts only where a box reads its watts.'),
});

/** The keys of each rule, by its name. */
export const ruleShapes: Readonly<Record<string, object>> = {
  asha: ashaSchema.shape,
  patience: patienceSchema.shape,
  threshold: thresholdSchema.shape,
  median: medianSchema.shape,
  energy_to_target: energyToTargetSchema.shape,
  hyperband: hyperbandSchema.shape,
  composite: compositeSchema.shape,
  none: noRuleSchema.shape,
  module: moduleRuleSchema.shape,
};
