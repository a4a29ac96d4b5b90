/** The shape of searches. They are read in `search.ts`. */
import { z } from 'zod';
import { parameterName } from './axes-schema.js';

const pointSchema = z.record(parameterName, z.unknown());

const enqueue = z
  .array(pointSchema)
  .max(1000)
  .default([])
  .describe('Points that run first, e.g. a baseline; they may lie outside what is swept.');

const drawnShape = {
  trials: z.int().min(1).max(10_000_000).describe('Points in all, the enqueued ones included.'),
  case_weights: z
    .array(z.number().positive())
    .optional()
    .describe('How often each case is drawn, one number a case. Default: equally often.'),
  enqueue,
};

const gridSchema = z
  .strictObject({ method: z.literal('grid'), enqueue })
  .describe('Every combination, in a shuffled order.');

const randomSchema = z
  .strictObject({ method: z.literal('random'), ...drawnShape })
  .describe('Independent draws.');

const sobolSchema = z
  .strictObject({
    method: z.literal('sobol'),
    ...drawnShape,
    scramble: z
      .enum(['owen', 'none'])
      .default('owen')
      .describe("Owen's scrambling, from the seed; none gives the published sequence."),
  })
  .describe('The Sobol sequence (Joe and Kuo 2008): covers the space more evenly than random draws.');

const listSchema = z
  .strictObject({
    method: z.literal('list'),
    points: z.array(pointSchema).min(1).max(10_000).describe('The points, in the order in which they run.'),
    enqueue,
  })
  .describe('The points that are listed.');

const tpeSchema = z
  .strictObject({
    method: z.literal('tpe'),
    ...drawnShape,
    trials: z.int().min(1).max(10_000).describe('Points in all, the enqueued ones included.'),
    startup: z
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe('Results before the model is asked; the points until then cover the space evenly.'),
    candidates: z.int().min(1).max(1000).default(24).describe('Candidates that are compared for a proposal.'),
    gamma: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.1)
      .describe('Share of the results that counts as good; 25 at most do.'),
    warm_start: z
      .string()
      .min(1)
      .optional()
      .describe('Id of an earlier sweep whose results the model knows from the start.'),
  })
  .describe('Tree-structured Parzen estimator, multivariate: learns from results where to look next.');

const moduleSearchSchema = z
  .strictObject({
    method: z.literal('module'),
    module: z.string().min(1).max(200).describe("The file, seen from the coordinator's folder of modules."),
    options: z.record(z.string(), z.unknown()).default({}).describe('What the module is given.'),
    trials: z.int().min(1).max(1_000_000).describe('Points in all, the enqueued ones included.'),
    enqueue,
  })
  .describe("A search of one's own; only where the coordinator was started with --modules.");

/** A search, or the name of one. */
export const searchSchema = z.union([
  z.enum(['grid', 'random', 'sobol', 'list', 'tpe']),
  z.discriminatedUnion('method', [
    gridSchema,
    randomSchema,
    sobolSchema,
    listSchema,
    tpeSchema,
    moduleSearchSchema,
  ]),
]);

/** Keys of searches, by method. */
export const searchShapes: Readonly<Record<string, object>> = {
  grid: gridSchema.shape,
  random: randomSchema.shape,
  sobol: sobolSchema.shape,
  list: listSchema.shape,
  tpe: tpeSchema.shape,
  module: moduleSearchSchema.shape,
};
