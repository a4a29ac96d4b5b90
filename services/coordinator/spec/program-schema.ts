/** The shape of what runs: a recipe or a command, and what stands beside a command. Read in `program.ts` and `variants.ts`. */
import { z } from 'zod';
import { recipes } from '../../../proto/recipes.js';
import { fixedValueSchema, parameterName } from './axes-schema.js';

export const recipeNames: [string, ...string[]] = ['command', ...recipes.keys()];

const requiredFileSchema = z.strictObject({
  path: z
    .string()
    .min(1)
    .max(4096)
    .describe('File on the box; relative: seen from the folder in which its trainer was started.'),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, '64 hexadecimal digits')
    .optional()
    .describe('SHA-256 of its content. Without it, the file must only be there.'),
});

const tensorboardSchema = z.strictObject({
  folder: z
    .string()
    .min(1)
    .max(4096)
    .default('.')
    .describe('Folder of the event files, seen from where the program runs.'),
  metrics: z
    .record(z.string().min(1).max(200), z.string().min(1).max(500))
    .describe('Tag by metric, e.g. val_accuracy: validation/epoch_accuracy. The objective must be there.'),
  epochs: z
    .enum(['from_0', 'from_1', 'count'])
    .default('from_0')
    .describe(
      'What a step is: an epoch counted from 0 (as Keras does) or from 1; count: each value of the objective is an epoch.',
    ),
});

const collectSchema = z.strictObject({
  regex: z
    .string()
    .min(1)
    .max(2000)
    .optional()
    .describe('Finds an epoch in a line of stdout; its named groups are metrics, and `epoch`, else counted.'),
  keras_csv: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe("File that Keras' CSVLogger writes, seen from where the program runs."),
  tensorboard: tensorboardSchema.optional().describe('Event files, as TensorFlow and PyTorch write them.'),
});

/** What stands beside a `command`. */
export const setupShape = {
  workdir: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('Folder on the box in which the command runs, or one below `code`. Default: an empty one.'),
  wrap: z
    .array(z.union([z.string(), z.number()]))
    .min(1)
    .max(1000)
    .optional()
    .describe('Words around the command, e.g. of a container; the word {command} stands for its own.'),
  requires: z
    .array(requiredFileSchema)
    .min(1)
    .max(100)
    .optional()
    .describe('Files that a box must have; one that lacks them runs no trial of the sweep.'),
  collect: collectSchema
    .optional()
    .describe('From what epochs are read, for a program that does not report itself.'),
};

export const variantSchema = z
  .strictObject({
    recipe: z.enum(recipeNames).optional().describe('What is trained; or a `command`.'),
    command: z
      .array(z.union([z.string(), z.number()]))
      .min(1)
      .optional()
      .describe('Program and arguments, as that of a sweep.'),
    ...setupShape,
    fixed: z
      .record(parameterName, fixedValueSchema)
      .default({})
      .describe('Parameters that only this variant is given.'),
  })
  .describe('A recipe or a command.');

/** Keys of its parts, by path. */
export const programShapes: Readonly<Record<string, object>> = {
  'variants.*': variantSchema.shape,
  'requires.*': requiredFileSchema.shape,
  collect: collectSchema.shape,
  'collect.tensorboard': tensorboardSchema.shape,
};
