/** Guards what YAML can hold but a sweep must not: circles, binary data, `__proto__`, numbers that are none. */
import type { Path } from './document.js';
import type { Problems } from './problems.js';

const parameterKeys: ReadonlySet<unknown> = new Set(['fixed', 'sweep', 'cases']);

/** Reports everything in `value` that is not plain, finite JSON. Shared parts (aliases) are looked at once. */
export function checkPlain(value: unknown, problems: Problems): void {
  walk(value, [], new Set(), new Set(), problems);
}

function walk(value: unknown, path: Path, inside: Set<object>, seen: Set<object>, problems: Problems): void {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) {
    // Elsewhere the shape says what is expected.
    if (!parameterKeys.has(path[0])) return;
    problems.add({ code: 'SPEC_VALUE', path, message: `found ${value}`, expected: 'a finite number' });
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (inside.has(value)) {
    problems.add({ code: 'SPEC_SYNTAX', path, message: 'the alias stands inside what it refers to' });
    return;
  }
  if (seen.has(value)) return;
  seen.add(value);
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) {
    problems.add({
      code: 'SPEC_TYPE',
      path,
      message: 'found binary or tagged data',
      expected: 'text, a number, true, false, a list or a map',
    });
    return;
  }
  inside.add(value);
  for (const [key, item] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key;
    if (step === '__proto__') {
      problems.add({
        code: 'SPEC_UNKNOWN_KEY',
        path: [...path, step],
        part: 'key',
        message: '`__proto__` cannot be a key',
      });
    } else walk(item, [...path, step], inside, seen, problems);
  }
  inside.delete(value);
}
