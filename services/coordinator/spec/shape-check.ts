/** Turns what zod says of the file's shape into problems with places, and takes the faulty parts out. */
import type { z } from 'zod';
import type { Path } from './document.js';
import { nearest, oneOf, show, type Problems } from './problems.js';
import { keysOf, partialSweepFileSchema, sweepFileSchema, type PartialSweepFile } from './schema.js';

type Issue = z.core.$ZodIssue;
type Content = Record<string, unknown>;

const isContent = (value: unknown): value is Content =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map (`key: value`)',
  record: 'a map (`key: value`)',
};

export function valueAt(content: unknown, path: Path): unknown {
  let value = content;
  for (const step of path) {
    if (Array.isArray(value)) value = (value as unknown[])[Number(step)];
    else if (isContent(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** Checks the shape; reports every problem; returns the parts without one. */
export function checkShape(content: Content, problems: Problems): PartialSweepFile {
  let sound = withModuleNames(content);
  const first = sweepFileSchema.safeParse(sound);
  if (first.success) return first.data;
  for (const issue of first.error.issues) report(issue, sound, problems);
  sound = takeOut(first.error.issues, sound, 2);
  const second = partialSweepFileSchema.safeParse(sound);
  if (second.success) return second.data;
  sound = takeOut(second.error.issues, sound, 1);
  return partialSweepFileSchema.safeParse(sound).data ?? {};
}

/** `stopping: { module: ./rule.mjs }` says by that key which rule it is; so does a search. */
function withModuleNames(content: Content): Content {
  const named = { ...content };
  for (const [key, name] of [
    ['stopping', 'rule'],
    ['search', 'method'],
  ] as const) {
    const part = content[key];
    if (isContent(part) && Object.hasOwn(part, 'module') && !Object.hasOwn(part, name))
      named[key] = { ...part, [name]: 'module' };
  }
  return named;
}

const without = (content: Content, key: string): Content =>
  Object.fromEntries(Object.entries(content).filter(([name]) => name !== key));

/** The content without what the issues point at: the key itself, or its holder at `depth` when the key lies deeper. */
function takeOut(issues: readonly Issue[], content: Content, depth: number): Content {
  let rest = content;
  for (const issue of issues) {
    const paths =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    for (const path of paths) {
      const [top, inner] = path.slice(0, depth).map(String);
      if (top === undefined) continue;
      const holder = rest[top];
      const isInside = inner !== undefined && isContent(holder) && Object.hasOwn(holder, inner);
      rest = isInside ? { ...rest, [top]: without(holder, inner) } : without(rest, top);
    }
  }
  return rest;
}

/** Reports one issue of zod; `prefix` is where the checked value stands. */
export function report(issue: Issue, content: unknown, problems: Problems, prefix: Path = []): void {
  const path: Path = [...prefix, ...issue.path.filter((step) => typeof step !== 'symbol')];
  const found = valueAt(
    content,
    issue.path.filter((step) => typeof step !== 'symbol'),
  );
  switch (issue.code) {
    case 'invalid_type': {
      reportType(issue.expected, path, found, problems);
      return;
    }
    case 'invalid_value': {
      reportChoice(issue.values.map(String), path, found, problems);
      return;
    }
    case 'too_small':
    case 'too_big': {
      reportSize(issue, path, found, problems);
      return;
    }
    case 'unrecognized_keys': {
      for (const key of issue.keys) reportKey(key, path, content, problems);
      return;
    }
    case 'invalid_union': {
      reportUnion(issue, path, found, content, problems, prefix);
      return;
    }
    case 'invalid_key': {
      const message = `${show(path.at(-1))} cannot be the name of a parameter`;
      const expected = 'a letter or _, then letters, digits, _ - or . (100 at most)';
      problems.add({ code: 'SPEC_VALUE', path, part: 'key', message, expected });
      return;
    }
    case 'invalid_format':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'custom': {
      problems.add({ code: 'SPEC_VALUE', path, message: `found ${show(found)}`, expected: issue.message });
      return;
    }
  }
}

function reportType(type: string, path: Path, found: unknown, problems: Problems): void {
  const expected = typeNames[type] ?? type;
  if (found === undefined) {
    const message = `the key \`${String(path.at(-1))}\` is missing`;
    problems.add({ code: 'SPEC_MISSING_KEY', path, message, expected });
    return;
  }
  if (typeof found === 'number' && !Number.isFinite(found)) {
    problems.add({ code: 'SPEC_VALUE', path, message: `found ${found}`, expected: `${expected}, finite` });
    return;
  }
  const isNumber = type === 'int' || type === 'number';
  const quoted =
    isNumber && typeof found === 'string' && found.trim() !== '' && Number.isFinite(Number(found));
  const suggestion = quoted
    ? found.trim()
    : type === 'array' && typeof found !== 'object'
      ? `[${show(found)}]`
      : null;
  const what = typeof found === 'string' ? `the text ${show(found)}` : show(found);
  problems.add({ code: 'SPEC_TYPE', path, message: `found ${what}`, expected, suggestion });
}

function reportChoice(values: readonly string[], path: Path, found: unknown, problems: Problems): void {
  if (found === undefined) {
    reportType(oneOf(values), path, found, problems);
    return;
  }
  const suggestion = typeof found === 'string' ? nearest(found, values) : null;
  const code = path.length === 1 && path[0] === 'recipe' ? 'SPEC_UNKNOWN_RECIPE' : 'SPEC_VALUE';
  const message = code === 'SPEC_VALUE' ? `found ${show(found)}` : `there is no recipe ${show(found)}`;
  problems.add({ code, path, message, expected: oneOf(values), suggestion });
}

type SizeIssue = Extract<Issue, { code: 'too_small' | 'too_big' }>;

function reportSize(issue: SizeIssue, path: Path, found: unknown, problems: Problems): void {
  const small = issue.code === 'too_small';
  const bound = String(small ? issue.minimum : issue.maximum);
  const words = small ? ['more than', 'at least'] : ['less than', 'at most'];
  const limit = `${words[issue.inclusive === false ? 0 : 1] ?? ''} ${bound}`;
  if (issue.origin === 'array') {
    const length = Array.isArray(found) ? found.length : 0;
    const code = length === 0 && path[0] === 'cases' ? 'SPEC_EMPTY_GRID' : 'SPEC_VALUE';
    const message = length === 0 ? 'the list is empty' : `the list has ${length} entries`;
    problems.add({ code, path, message, expected: `${limit} entries` });
  } else if (issue.origin === 'string') {
    const message =
      found === '' ? 'the text is empty' : `the text ${show(found)} is too ${small ? 'short' : 'long'}`;
    problems.add({ code: 'SPEC_VALUE', path, message, expected: `${limit} characters` });
  } else {
    problems.add({ code: 'SPEC_VALUE', path, message: `found ${show(found)}`, expected: limit });
  }
}

function reportKey(key: string, holder: Path, content: unknown, problems: Problems): void {
  const part = partOf(holder, content);
  const keys = keysOf(part);
  const parameters = Object.keys(isContent(content) && isContent(content['fixed']) ? content['fixed'] : {});
  const near = nearest(key, keys);
  const place = holder.length === 0 ? 'the sweep file' : `\`${holder.join('.')}\``;
  const message =
    near === null && part === '' && !parameters.includes(key)
      ? `${place} has no key \`${key}\` (parameters stand under \`fixed\`, \`sweep\` or \`cases\`)`
      : `${place} has no key \`${key}\``;
  const path = [...holder, key];
  problems.add({
    code: 'SPEC_UNKNOWN_KEY',
    path,
    part: 'key',
    message,
    expected: oneOf(keys),
    suggestion: near,
  });
}

function partOf(holder: Path, content: unknown): string {
  const [top, name, ...inner] = holder;
  if (top === 'variants' && name !== undefined)
    return inner.length === 0 ? 'variants.*' : partOf(inner, valueAt(content, ['variants', name]));
  if (top === 'requires') return 'requires.*';
  if (top !== 'stopping' && top !== 'search') return holder.join('.');
  const kind = valueAt(content, [...holder, top === 'stopping' ? 'rule' : 'method']);
  return `${top}.${typeof kind === 'string' ? kind : ''}`;
}

function reportUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  found: unknown,
  content: unknown,
  problems: Problems,
  prefix: Path,
): void {
  if ('options' in issue && Array.isArray(issue.options)) {
    reportChoice(issue.options.map(String), path, found, problems);
    return;
  }
  const fitting =
    issue.errors.find((branch) =>
      branch.every(({ code, path: at }) => code !== 'invalid_type' || at.length > 0),
    ) ?? [];
  const wrongWord = fitting.some(({ code, path: at }) => code === 'invalid_value' && at.length === 0);
  const inner =
    wrongWord && typeof found !== 'string' ? issue.errors.find((branch) => branch !== fitting) : fitting;
  if (
    inner === undefined ||
    inner.length === 0 ||
    inner.some(({ code, path: at }) => code === 'invalid_type' && at.length === 0)
  ) {
    problems.add({
      code: 'SPEC_TYPE',
      path,
      message: `found ${show(found)}`,
      expected: 'a word or a map (`key: value`)',
    });
    return;
  }
  for (const nested of inner)
    report({ ...nested, path: [...issue.path, ...nested.path] }, content, problems, prefix);
}
