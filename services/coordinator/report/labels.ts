/** Short names of settings: only what differs between trials, in the order of the sweep file. */
import type { ParameterValue, Parameters, SweepSpec } from '../core/spec.js';

type Leaf = Exclude<ParameterValue, Readonly<Record<string, ParameterValue>>>;

export interface Labels {
  /** Paths of the parameters that differ, e.g. `batch_size` or `schedule.kind`. */
  readonly varied: readonly string[];
  readonly of: (pointHash: string) => string;
  /** Order of two settings by the parameters that differ, numbers by size. */
  readonly compare: (hashA: string, hashB: string) => number;
}

const isGroup = (value: ParameterValue): value is Readonly<Record<string, ParameterValue>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function flatten(parameters: Parameters, prefix = ''): readonly (readonly [string, Leaf])[] {
  return Object.entries(parameters).flatMap(([name, value]) =>
    isGroup(value) ? flatten(value, `${prefix}${name}.`) : [[`${prefix}${name}`, value] as const],
  );
}

/** A number as one would say it: `64`, `0.07`, `1e-3`, `1.414e-3`. */
export function parameterNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 0.01 && magnitude < 1e5) return String(Number(value.toPrecision(4)));
  const [mantissa = '0', exponent = '0'] = value.toExponential(3).split('e');
  return Number.isFinite(value) ? `${Number(mantissa)}e${Number(exponent)}` : String(value);
}

function leafText(value: Leaf): string {
  if (typeof value === 'number') return parameterNumber(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Numbers by size, everything else by its text; what is missing comes last. */
function compareLeaves(a: Leaf | undefined, b: Leaf | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [textA, textB] = [leafText(a), leafText(b)];
  return textA < textB ? -1 : textA > textB ? 1 : 0;
}

/** Parameters of the file first, in its order; then whatever else trials carry, by name. */
function fileOrder(spec: SweepSpec): readonly string[] {
  return [...spec.sweep, ...spec.cases.flat()].map((axis) => axis.name);
}

/** Names the settings of `points` (by hash). Of two that would read alike each gets the start of its hash. */
export function labelSettings(spec: SweepSpec, points: ReadonlyMap<string, Parameters>): Labels {
  const flat = new Map([...points].map(([hash, parameters]) => [hash, new Map(flatten(parameters))]));
  const seen = new Map<string, Set<string>>();
  for (const leaves of flat.values()) {
    for (const [path, value] of leaves) {
      seen.set(path, (seen.get(path) ?? new Set()).add(JSON.stringify(value)));
    }
  }
  const isVaried = (path: string): boolean =>
    (seen.get(path)?.size ?? 0) > 1 || [...flat.values()].some((leaves) => !leaves.has(path));
  const order = fileOrder(spec);
  const place = (path: string): number => {
    const index = order.indexOf(path.split('.')[0] ?? path);
    return index === -1 ? order.length : index;
  };
  const varied = [...seen.keys()]
    .filter(isVaried)
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : a > b ? 1 : 0));

  // `adam` says enough of itself, unless another parameter may be `adam` too.
  const saysItself = (path: string, value: Leaf): boolean =>
    typeof value === 'string' &&
    /^[a-z]\w/i.test(value) &&
    varied.every((other) => other === path || !seen.get(other)?.has(JSON.stringify(value)));
  const plain = (hash: string): string =>
    varied
      .flatMap((path) => {
        const value = flat.get(hash)?.get(path);
        if (value === undefined) return [];
        return [saysItself(path, value) ? leafText(value) : `${path} ${leafText(value)}`];
      })
      .join(' · ') || spec.name;

  const hashesByLabel = new Map<string, string[]>();
  for (const hash of points.keys()) {
    const label = plain(hash);
    const alike = hashesByLabel.get(label);
    if (alike === undefined) hashesByLabel.set(label, [hash]);
    else alike.push(hash);
  }
  const labels = new Map<string, string>();
  for (const [label, hashes] of hashesByLabel) {
    for (const hash of hashes) labels.set(hash, hashes.length > 1 ? `${label} #${hash.slice(0, 6)}` : label);
  }
  const compare = (hashA: string, hashB: string): number => {
    for (const path of varied) {
      const order = compareLeaves(flat.get(hashA)?.get(path), flat.get(hashB)?.get(path));
      if (order !== 0) return order;
    }
    return 0;
  };
  return { varied, of: (hash) => labels.get(hash) ?? hash, compare };
}
