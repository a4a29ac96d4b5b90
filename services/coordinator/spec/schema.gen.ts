/** Writes the JSON Schema of sweep files, for editors, to `proto/gen/sweep.schema.json`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { recipes, type ParameterDescriptor } from '../../../proto/recipes.js';
import { axisSchema, fixedValueSchema, rangeSchema } from './axes-schema.js';
import { sweepFileSchema } from './schema.js';

type JsonSchema = Record<string, unknown>;

const described = ({ description, default: value, unit }: ParameterDescriptor): string =>
  `${description}${unit === undefined ? '' : ` Unit: ${unit}.`} Default: ${JSON.stringify(value)}.`;

/** The parameters of the recipes, so that editors offer them; a command may have others. */
function known(value: JsonSchema): JsonSchema {
  const descriptions = new Map<string, string[]>();
  for (const { name: recipe, parameters } of recipes.values()) {
    for (const [name, descriptor] of Object.entries(parameters)) {
      descriptions.set(name, [...(descriptions.get(name) ?? []), `${recipe}: ${described(descriptor)}`]);
    }
  }
  return Object.fromEntries(
    [...descriptions].map(([name, texts]) => [name, { description: texts.join('\n'), ...value }]),
  );
}

const axis: JsonSchema = { $ref: '#/$defs/axis' };

const axisDefinition = (range: JsonSchema): JsonSchema => ({
  description:
    'A list, a range, an expression over the other parameters ("= 1e-3 * sqrt(batch_size / 32)"), or a constant.',
  anyOf: [
    { type: 'array', minItems: 1, description: 'Values to run, each once.' },
    range,
    { type: 'string', description: 'A constant; with = in front, an expression.' },
    { type: ['number', 'boolean'], description: 'A constant.' },
    {
      type: 'object',
      description: 'A constant, e.g. a schedule.',
      not: { anyOf: Object.keys(rangeSchema.shape).map((key) => ({ required: [key] })) },
    },
  ],
});

function sweepJsonSchema(): JsonSchema {
  const options = { io: 'input', target: 'draft-2020-12' } as const;
  const rangeJson: JsonSchema = { ...z.toJSONSchema(rangeSchema, options) };
  const { $schema, ...range } = rangeJson;
  const schema: JsonSchema = {
    ...z.toJSONSchema(sweepFileSchema, {
      ...options,
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema === axisSchema) Object.assign(jsonSchema, axis);
        if (!(zodSchema instanceof z.ZodRecord)) return;
        if (zodSchema.valueType === axisSchema) Object.assign(jsonSchema, { properties: known(axis) });
        if (zodSchema.valueType === fixedValueSchema) Object.assign(jsonSchema, { properties: known({}) });
      },
    }),
  };
  return {
    $schema,
    title: 'Wattsweep sweep file',
    ...schema,
    $defs: { axis: axisDefinition(range) },
    anyOf: [{ required: ['recipe'] }, { required: ['command'] }],
  };
}

const folder = new URL('../../../proto/gen/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('sweep.schema.json', folder), `${JSON.stringify(sweepJsonSchema(), null, 2)}\n`);
process.stdout.write('wrote proto/gen/sweep.schema.json\n');
