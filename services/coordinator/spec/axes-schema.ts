/** The shape of parameters in a sweep file: their names, and what stands there as values. They are read in `axes.ts`. */
import { z } from 'zod';

/** A value of `sweep` or of a case: read by `axes.ts`, which tells a range from a constant. */
export const axisSchema = z.unknown();
/** A value of `fixed`. */
export const fixedValueSchema = z.unknown();

export const parameterName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/);

export const axesSchema = z.record(parameterName, axisSchema);

export const rangeSchema = z
  .strictObject({
    min: z.number().describe('First value.'),
    max: z.number().describe('Last value; greater than min.'),
    scale: z.enum(['linear', 'log']).default('linear').describe('Equal differences, or equal ratios.'),
    count: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .optional()
      .describe('Number of values, both ends included; without it, any value in between (not for grid).'),
    integer: z
      .boolean()
      .optional()
      .describe('Round to whole numbers, each once. Default: as the recipe declares the parameter.'),
  })
  .describe('Values from min to max: evenly spaced ones, or any.');
