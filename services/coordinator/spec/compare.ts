/** What two specs say differently, in the words of the sweep file. */
import type { Axes, Domain, SweepSpec } from '../core/spec.js';
import { show, withoutSecrets } from './problems.js';

export interface SpecDifference {
  /** As in the file, e.g. `sweep.batch_size`, `search.trials`. */
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** In the order of the file's keys. What an extension has added to the search is left out. */
export function compareSpecs(before: SweepSpec, after: SweepSpec): SpecDifference[] {
  const [old, now] = [entriesOf(before), entriesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key) => {
    const [a, b] = [old.get(key), now.get(key)];
    return JSON.stringify(a) === JSON.stringify(b) ? [] : [{ key, before: a, after: b }];
  });
}

/** `max_epochs: 60, in the file 30`. */
export const differenceText = ({ key, before, after }: SpecDifference): string =>
  withoutSecrets(`${key}: ${show(before)}, in the file ${show(after)}`);

function entriesOf(spec: SweepSpec): Map<string, unknown> {
  const { sweep, cases, fixed, search, smoke = 0, code, ...rest } = spec;
  const { added: _added, enqueue = [], ...method } = search;
  const entries = new Map<string, unknown>();
  for (const [name, value] of Object.entries(rest)) addEntry(entries, snake(name), value);
  // What was packed is known at the submission.
  if (code !== undefined) entries.set('code', code.folder);
  for (const [name, value] of Object.entries(fixed)) entries.set(`fixed.${name}`, value);
  // What stands in front of it was chosen for the smoke test.
  if (enqueue.length > smoke) entries.set('search.enqueue', enqueue.slice(smoke));
  addAxes(entries, 'sweep', sweep);
  for (const [index, axes] of cases.entries()) addAxes(entries, `cases[${index}]`, axes);
  for (const [name, value] of Object.entries(method)) entries.set(`search.${snake(name)}`, value);
  // What the earlier sweep gave is looked up at the submission.
  if (method.method === 'tpe') entries.set('search.warm_start', method.warmStart?.sweepId ?? null);
  return entries;
}

function addEntry(entries: Map<string, unknown>, key: string, value: unknown): void {
  if (value === null || value === undefined) return;
  if (typeof value !== 'object' || Array.isArray(value)) {
    entries.set(key, value);
    return;
  }
  for (const [name, part] of Object.entries(value)) addEntry(entries, `${key}.${snake(name)}`, part);
}

function addAxes(entries: Map<string, unknown>, holder: string, axes: Axes): void {
  for (const { name, domain } of axes) entries.set(`${holder}.${name}`, written(domain));
}

/** A domain as the file writes it. */
function written(domain: Domain): unknown {
  switch (domain.kind) {
    case 'constant':
      return domain.value;
    case 'list':
      return domain.values;
    case 'expression':
      return `= ${domain.expression}`;
    case 'range': {
      const { kind: _kind, count, ...range } = domain;
      return count === null ? range : { ...range, count };
    }
  }
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
