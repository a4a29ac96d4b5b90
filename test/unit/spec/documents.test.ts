import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import schema from '../../../proto/gen/sweep.schema.json' with { type: 'json' };
import { recipes } from '../../../proto/recipes.js';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';
import { sweepFileSchema } from '../../../services/coordinator/spec/schema.js';

const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

describe('what users read', () => {
  const guide = read('docs/sweep-file.md');

  it('shows sweep files that are right', () => {
    const files = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
    expect(files).toHaveLength(7);
    for (const file of files) expect(parseSweepFile(file).warnings).toEqual([]);
  });

  it('shows a sweep of a program that is right', () => {
    const [, file = ''] = /```yaml\n(name: [\s\S]*?)```/.exec(read('docs/programs.md')) ?? [];
    expect(parseSweepFile(file).warnings).toEqual([]);
  });

  it('shows a sweep with modules that is right', () => {
    const [, file = ''] = /```yaml\n(name: [\s\S]*?)```/.exec(read('docs/modules.md')) ?? [];
    expect(parseSweepFile(file).spec.stopping.rule).toBe('module');
  });

  it('names every key', () => {
    for (const [key, value] of Object.entries(sweepFileSchema.shape)) {
      const inner = value instanceof z.ZodDefault ? value.unwrap() : value;
      const keys =
        inner instanceof z.ZodObject ? Object.keys(inner.shape).map((name) => `${key}.${name}`) : [key];
      for (const name of keys) expect(guide).toContain(`\`${name}\``);
    }
  });

  it('has examples that are right', () => {
    const examples = readdirSync(new URL('examples/', root)).filter((file) => file.endsWith('.yaml'));
    expect(examples).not.toEqual([]);
    for (const file of examples)
      expect([file, ...parseSweepFile(read(`examples/${file}`)).warnings]).toEqual([file]);
  });
});

describe('the JSON Schema', () => {
  it('knows every key, with a description, and no other', () => {
    expect(Object.keys(schema.properties)).toEqual(Object.keys(sweepFileSchema.shape));
    expect(schema.additionalProperties).toBe(false);
    for (const [key, value] of Object.entries(schema.properties))
      expect([key, value.description]).toEqual([key, expect.any(String)]);
  });

  it('describes the parameters of every recipe wherever they may stand', () => {
    const names = new Set([...recipes.values()].flatMap(({ parameters }) => Object.keys(parameters)));
    const { fixed, sweep, cases } = schema.properties;
    for (const { properties } of [fixed, sweep, cases.items])
      expect(Object.keys(properties)).toEqual([...names]);
    expect(sweep.properties.batch_size.$ref).toBe('#/$defs/axis');
    expect(schema.$defs.axis.anyOf).toHaveLength(5);
  });
});
