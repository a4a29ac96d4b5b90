/** Reads the parameters of a sweep: constants, lists, ranges and expressions. */
import type { ParameterDescriptor, RecipeDescriptor } from '../../../proto/recipes.js';
import { axisValues, canonicalJson, compileExpression } from '../core/search/index.js';
import type { Domain, ParameterValue } from '../core/spec.js';
import type { Condition, ReadAxis } from './conditions.js';
import type { Path } from './document.js';
import { nearest, oneOf, show, type Problems } from './problems.js';
import { rangeSchema } from './axes-schema.js';
import { report } from './shape-check.js';

/** Checked by `checkPlain`: nothing else is left in the file. */
export const asParameter = (value: unknown): ParameterValue => value as ParameterValue;

const rangeKeys: readonly string[] = Object.keys(rangeSchema.shape);

export const isExpression = (value: unknown): value is string =>
  typeof value === 'string' && value.startsWith('=');

/** Reports a name that the recipe does not take. */
export function checkName(
  name: string,
  path: Path,
  recipe: RecipeDescriptor | null,
  problems: Problems,
): void {
  if (recipe === null || Object.hasOwn(recipe.parameters, name)) return;
  const names = Object.keys(recipe.parameters);
  problems.add({
    code: 'SPEC_UNKNOWN_KEY',
    path,
    part: 'key',
    message: `the recipe ${recipe.name} has no parameter \`${name}\``,
    expected: oneOf(names),
    suggestion: nearest(name, names),
  });
}

/** @param counted whether a range must say its `count`: the grid needs it */
export function readAxes(
  content: Readonly<Record<string, unknown>>,
  path: Path,
  recipe: RecipeDescriptor | null,
  counted: boolean,
  problems: Problems,
): ReadAxis[] {
  return Object.entries(content).flatMap(([name, raw]) => {
    const at = [...path, name];
    checkName(name, at, recipe, problems);
    const descriptor =
      recipe !== null && Object.hasOwn(recipe.parameters, name) ? recipe.parameters[name] : undefined;
    const conditional = readConditional(raw, at, problems);
    if (conditional === null) return [];
    const { value, when, within } = conditional;
    const domain = readDomain(value, within, descriptor, counted, problems);
    return domain === null ? [] : [{ name, domain, when }];
  });
}

/** What stands beside `when`: `value`, `values`, or the keys of a range. Null when that is faulty, and reported. */
function readConditional(
  raw: unknown,
  path: Path,
  problems: Problems,
): { readonly value: unknown; readonly when: Condition | null; readonly within: Path } | null {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw) || !('when' in raw))
    return { value: raw, when: null, within: path };
  const { when: text, ...rest } = raw as Record<string, unknown>;
  const at = [...path, 'when'];
  if (typeof text !== 'string') {
    problems.add({
      code: 'SPEC_TYPE',
      path: at,
      message: `found ${show(text)}`,
      expected: 'a condition, e.g. "optimizer == \'sgd\'"',
    });
    return null;
  }
  const compiled = compileExpression(text);
  if (!('expression' in compiled)) {
    problems.add({ code: 'SPEC_EXPRESSION', path: at, message: `\`${text}\`: ${compiled.problem}` });
    return null;
  }
  const when = { text, expression: compiled.expression, path: at };
  const keys = Object.keys(rest);
  for (const key of ['values', 'value']) {
    if (!keys.includes(key)) continue;
    const other = keys.find((name) => name !== key);
    if (other === undefined) return { value: rest[key], when, within: [...path, key] };
    const message = `\`${other}\` stands beside \`${key}\``;
    problems.add({
      code: 'SPEC_UNKNOWN_KEY',
      path: [...path, other],
      part: 'key',
      message,
      expected: `\`${key}\` and \`when\``,
    });
    return null;
  }
  if (keys.some((key) => rangeKeys.includes(key))) return { value: rest, when, within: path };
  const message = 'there is no value beside `when`';
  problems.add({ code: 'SPEC_MISSING_KEY', path, message, expected: '`value`, `values`, or a range' });
  return null;
}

function readDomain(
  value: unknown,
  path: Path,
  descriptor: ParameterDescriptor | undefined,
  counted: boolean,
  problems: Problems,
): Domain | null {
  if (value === null) {
    problems.add({
      code: 'SPEC_EMPTY_GRID',
      path,
      message: 'there is no value',
      expected: 'a list, a range, an expression or a constant',
    });
    return null;
  }
  if (isExpression(value)) return readExpression(value, path, problems);
  if (Array.isArray(value)) return readList(value as readonly unknown[], path, descriptor, problems);
  if (typeof value === 'object' && rangeKeys.some((key) => Object.hasOwn(value, key))) {
    return readRange(value, path, descriptor, counted, problems);
  }
  const constant = asParameter(value);
  doubt(constant, path, descriptor, problems);
  return { kind: 'constant', value: constant };
}

function readExpression(text: string, path: Path, problems: Problems): Domain | null {
  const expression = text.slice(1).trim();
  const compiled = compileExpression(expression);
  if ('expression' in compiled) return { kind: 'expression', expression };
  const { problem, offset, unknownFunction, functions } = compiled;
  problems.add({
    code: 'SPEC_EXPRESSION',
    path,
    offset: offset === null ? 0 : offset + text.indexOf(expression),
    message: `\`${expression}\`: ${problem}`,
    expected: unknownFunction === null ? null : oneOf(functions),
    suggestion: unknownFunction === null ? null : nearest(unknownFunction, functions),
  });
  return null;
}

function readList(
  items: readonly unknown[],
  path: Path,
  descriptor: ParameterDescriptor | undefined,
  problems: Problems,
): Domain | null {
  if (items.length === 0) {
    problems.add({
      code: 'SPEC_EMPTY_GRID',
      path,
      message: 'the list is empty',
      expected: 'at least one value',
    });
    return null;
  }
  const values = new Map<string, ParameterValue>();
  for (const [index, item] of items.entries()) {
    const at = [...path, index];
    if (isExpression(item)) {
      const message = `${show(item)} stands in a list`;
      problems.add({
        code: 'SPEC_EXPRESSION',
        path: at,
        message,
        expected: 'an expression to be the whole value',
      });
      continue;
    }
    const value = asParameter(item);
    doubt(value, at, descriptor, problems);
    const text = canonicalJson(value);
    if (values.has(text)) problems.warn(at, `${show(value)} stands twice in the list; it runs once`);
    else values.set(text, value);
  }
  return { kind: 'list', values: [...values.values()] };
}

function readRange(
  content: object,
  path: Path,
  descriptor: ParameterDescriptor | undefined,
  counted: boolean,
  problems: Problems,
): Domain | null {
  const parsed = rangeSchema.safeParse(content);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code !== 'unrecognized_keys') report(issue, content, problems, path);
      else {
        for (const key of issue.keys) {
          const message = `a range has no key \`${key}\``;
          const suggestion = nearest(key, rangeKeys);
          problems.add({
            code: 'SPEC_UNKNOWN_KEY',
            path: [...path, key],
            part: 'key',
            message,
            expected: oneOf(rangeKeys),
            suggestion,
          });
        }
      }
    }
    return null;
  }
  const { min, max, scale, count, integer = descriptor?.type === 'integer' } = parsed.data;
  const before = problems.count;
  const wrong = (key: string, message: string, expected: string): void => {
    problems.add({ code: 'SPEC_VALUE', path: [...path, key], message, expected });
  };
  if (min >= max) wrong('min', `min ${min} is not below max ${max}`, `min below ${max}`);
  if (scale === 'log' && min <= 0) wrong('min', `min is ${min} on a log scale`, 'more than 0');
  if (integer) {
    for (const [key, bound] of Object.entries({ min, max })) {
      if (!Number.isSafeInteger(bound))
        wrong(key, `${key} is ${bound} in a range of whole numbers`, 'a whole number');
    }
  }
  if (count === undefined && counted) {
    problems.add({
      code: 'SPEC_MISSING_KEY',
      path: [...path, 'count'],
      message: 'the range has no `count`, which the grid needs',
      expected: 'the number of values, or another `search`',
    });
  }
  if (problems.count > before) return null;
  doubt(min, [...path, 'min'], descriptor, problems);
  doubt(max, [...path, 'max'], descriptor, problems);
  if (count === undefined) return { kind: 'range', min, max, scale, integer, count: null };
  if (integer && scale === 'log' && count > MAX_ROUNDED) {
    wrong('count', `count is ${count}`, `at most ${MAX_ROUNDED} whole numbers on a log scale`);
    return null;
  }
  const closest =
    scale === 'log'
      ? Math.log(max / min) / (count - 1)
      : (max - min) / (count - 1) / Math.max(Math.abs(min), Math.abs(max));
  if (!integer && count > 1 && closest < FINEST) {
    wrong('count', `${count} values between ${min} and ${max} cannot be told apart`, 'fewer values');
    return null;
  }
  const domain: Domain = { kind: 'range', min, max, scale, integer, count };
  const size = axisValues(domain)?.size ?? 0;
  if (count === 1) problems.warn(path, `count is 1: only min, ${min}, runs`);
  else if (size < count) problems.warn(path, `there are only ${size} whole numbers for a count of ${count}`);
  return domain;
}

const MAX_ROUNDED = 10_000;
/** Values are rounded to 12 significant digits; steps must stand out from that. */
const FINEST = 1e-10;

/** Warns of a value that the recipe will refuse: the trial fails alone, the sweep goes on. */
export function doubt(
  value: ParameterValue,
  path: Path,
  descriptor: ParameterDescriptor | undefined,
  problems: Problems,
): void {
  const wanted = descriptor === undefined ? null : refusal(value, descriptor);
  if (wanted !== null) problems.warn(path, `${show(value)} will be refused; the recipe takes ${wanted}`);
}

/** What the recipe takes instead of `value`; null when it takes it. */
export function refusal(value: ParameterValue, descriptor: ParameterDescriptor): string | null {
  const { type, choices, min, max } = descriptor;
  if (choices !== undefined) {
    if (choices.some((choice) => choice === value)) return null;
    const near = typeof value === 'string' ? nearest(value, choices.map(String)) : null;
    return `${oneOf(choices.map(String))}${near === null ? '' : ` (did you mean \`${near}\`?)`}`;
  }
  switch (type) {
    case 'integer':
    case 'number': {
      const isRight = typeof value === 'number' && (type === 'number' || Number.isInteger(value));
      const inside = isRight && value >= (min ?? -Infinity) && value <= (max ?? Infinity);
      if (inside) return null;
      const bounds = [
        ...(min === undefined ? [] : [`from ${min}`]),
        ...(max === undefined ? [] : [`to ${max}`]),
      ];
      return [type === 'integer' ? 'a whole number' : 'a number', ...bounds].join(' ');
    }
    case 'string':
      return typeof value === 'string' ? null : 'text';
    case 'boolean':
      return typeof value === 'boolean' ? null : 'true or false';
    case 'list':
      return Array.isArray(value) ? null : 'a list';
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? null
        : 'a map (`key: value`)';
  }
}
