/**
 * The shape of a sweep file: keys, types and ranges, each key with its description. What keys mean together is checked
 * in `build.ts`; values of `fixed`, `sweep` and `cases` in `axes.ts`. The JSON Schema for editors is made from this.
 */
import { z } from 'zod';
import { DEFAULT_RETRIES } from '../core/defaults.js';
import { notificationKinds } from '../core/notify/notification.js';
import { axesSchema, fixedValueSchema, parameterName } from './axes-schema.js';
import { programShapes, recipeNames, setupShape, variantSchema } from './program-schema.js';
import { searchSchema, searchShapes } from './search-schema.js';
import { ruleShapes, stoppingSchema, trialLimitsSchema } from './stopping-schema.js';

export const objectiveSchema = z.strictObject({
  metric: z.string().min(1).describe('Metric that every epoch reports, e.g. val_accuracy.'),
  goal: z
    .enum(['maximize', 'minimize'])
    .optional()
    .describe("Which direction is better. Default: the recipe's; a command must say it."),
  target: z.number().optional().describe('A trial that holds this level of the metric succeeds early.'),
  hold_epochs: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(5)
    .describe('Epochs after the first hit during which the target must hold.'),
  hold_tolerance: z.number().min(0).default(0.002).describe('How far the metric may fall short meanwhile.'),
});

export const budgetSchema = z.strictObject({
  energy_wh: z.number().positive().optional().describe('Watt-hours of the whole sweep.'),
  hours: z.number().positive().optional().describe('Hours since the first attempt began.'),
});

export const resourcesSchema = z.strictObject({
  gpus: z
    .int()
    .min(0)
    .max(1024)
    .optional()
    .describe('GPUs of a trial, all of one box and model; 0 for a CPU. Default: whatever slot there is.'),
  device: z.string().min(1).optional().describe("Part of the device model's name, e.g. RTX 4060 Ti."),
  memory_gb: z
    .number()
    .positive()
    .optional()
    .describe('Gigabytes of memory that each device must have free before the trial. Default: any.'),
  labels: z
    .record(z.string().min(1).max(100), z.union([z.string().max(200), z.number(), z.boolean()]))
    .optional()
    .describe('Labels that the box must have, with their values, e.g. room: cellar.'),
});

const retriesOf = (description: string, otherwise: number) =>
  z.int().min(0).max(1000).optional().describe(`${description} Default: ${otherwise}.`);

export const retriesSchema = z.strictObject({
  crashed: retriesOf('After a crash of the program.', DEFAULT_RETRIES.crashed),
  lost: retriesOf('After its box was lost.', DEFAULT_RETRIES.lost),
  preempted: retriesOf('After its box ended it, as a drain does.', DEFAULT_RETRIES.preempted),
  out_of_memory: retriesOf(
    'After it ran out of memory, always on a device with more.',
    DEFAULT_RETRIES.outOfMemory,
  ),
  refused: retriesOf('After its parameters were refused.', DEFAULT_RETRIES.refused),
});

/** What stands at `notify.webhook`. */
export const WEBHOOK_FORM = 'an http or https URL';

export const notifySchema = z.strictObject({
  webhook: z
    .string()
    .max(2000)
    .regex(/^https?:\/\/\S+$/, WEBHOOK_FORM)
    .describe('http or https URL that is sent JSON by POST. Only its host is ever shown.'),
  on: z
    .array(z.enum(notificationKinds))
    .min(1)
    .default([...notificationKinds])
    .describe(
      'When: at the end of the sweep, when trials fail, when 80 % of a budget are spent and when all is.',
    ),
});

export const sweepFileSchema = z.strictObject({
  name: z.string().trim().min(1).max(100).describe('Name of the sweep, for people.'),
  recipe: z.enum(recipeNames).optional().describe('What is trained. Leave it out where `command` stands.'),
  command: z
    .array(z.union([z.string(), z.number()]))
    .min(1)
    .optional()
    .describe(
      'Program and arguments; {name} stands for the parameter of that name. Only boxes that opted in run it.',
    ),
  ...setupShape,
  code: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe(
      'Folder that goes to the boxes with the command, seen from the sweep file; .wattsweepignore in it says what does not.',
    ),
  variants: z
    .record(
      z
        .string()
        .max(60)
        .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
      variantSchema,
    )
    .optional()
    .describe(
      'Programs to compare, by name, instead of `recipe` or `command`: every point runs with each of them, as the parameter `variant` says.',
    ),
  objective: objectiveSchema.describe('What makes a trial good.'),
  levels: z
    .array(z.number())
    .max(100)
    .optional()
    .describe('Levels of the objective for which time and energy are reported. Default: the target.'),
  max_epochs: z.int().min(1).max(1_000_000).describe('Epochs of a trial that is not stopped.'),
  fixed: z
    .record(parameterName, fixedValueSchema)
    .default({})
    .describe('Parameters that are the same in every trial, of any type; lists are values here.'),
  sweep: axesSchema
    .optional()
    .describe('Parameters that vary: a list, a range, an "= expression", or a constant.'),
  cases: z
    .array(axesSchema)
    .min(1)
    .max(1000)
    .optional()
    .describe('Branches, each with its parameters: sweep x (the first case + the second + ...).'),
  constraints: z
    .array(z.string().min(1))
    .max(100)
    .default([])
    .describe('Expressions that must hold at every point, e.g. "batch_size * lr_peak <= 10".'),
  search: searchSchema.default('grid').describe('How points are chosen. Default: every combination.'),
  stopping: stoppingSchema.default('none').describe('When a trial is stopped early. Default: never.'),
  repeats: z.int().min(1).max(1000).default(1).describe('Runs of every point, each with another seed.'),
  seed: z
    .int()
    .min(0)
    .default(1)
    .describe('Seeds of the repeats (the same for all points) and the order of the grid follow from it.'),
  budget: budgetSchema
    .default({})
    .describe('What the sweep may spend; it ends when the first limit is reached.'),
  trial_limits: trialLimitsSchema
    .default({})
    .describe('What one trial may spend; it stops when it reaches one.'),
  resources: resourcesSchema.default({}).describe('What a trial needs.'),
  retries: retriesSchema
    .default({})
    .describe("Further attempts of a trial, by how an attempt ended. What is the box's fault costs none."),
  placement: z
    .enum(['any', 'blocked'])
    .default('any')
    .describe(
      'blocked: each repeat of all points runs together, spread over boxes and device models. Default: wherever a slot is free.',
    ),
  max_parallel: z
    .int()
    .min(1)
    .optional()
    .describe('Trials at the same time. Default: as many as there are slots.'),
  priority: z
    .number()
    .gt(0)
    .max(1000)
    .optional()
    .describe('Weight among sweeps: slots in use are shared in proportion to it. Default: 1.'),
  notify: notifySchema.optional().describe('Who is told what becomes of the sweep. Default: nobody.'),
});

/** Every key optional: for what is left of a file after the parts with errors were taken out. */
export const partialSweepFileSchema = sweepFileSchema.partial();
export type PartialSweepFile = z.output<typeof partialSweepFileSchema>;

const under = (part: string, shapes: Readonly<Record<string, object>>): Readonly<Record<string, object>> =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [`${part}.${name}`, shape]));

const shapes: Readonly<Record<string, object>> = {
  '': sweepFileSchema.shape,
  objective: objectiveSchema.shape,
  ...under('search', searchShapes),
  budget: budgetSchema.shape,
  resources: resourcesSchema.shape,
  retries: retriesSchema.shape,
  notify: notifySchema.shape,
  ...programShapes,
  trial_limits: trialLimitsSchema.shape,
  ...under('stopping', ruleShapes),
};

/** The keys of a part of the file, by its path; stopping rules as `stopping.asha`, searches as `search.tpe`. */
export const keysOf = (part: string): readonly string[] => Object.keys(shapes[part] ?? {});
