/** What people ask of a sweep while it runs or after its end. What they ask for follows from the fault's number alone. */
import type { Input, SearchSpec, SweepSpec, SweepState } from '../../services/coordinator/core/index.js';
import type { FaultKind } from './faults.js';
import { randomOf, type Random } from './random.js';

/** Kinds of "faults" that are changes of a sweep. */
export const CHANGES = [
  'sweep_rerun',
  'sweep_extended',
  'limits_changed',
  'sweep_labelled',
  'sweep_deleted',
] as const satisfies readonly FaultKind[];
export type ChangeKind = (typeof CHANGES)[number];

/** Null for what the API would refuse. */
export function changeOf(kind: ChangeKind, sweep: SweepState, number: number, at: number): Input | null {
  const { sweepId, spec } = sweep;
  const isSpent = (sweep.spentJoules ?? 0) >= (sweep.limits.energyWh ?? Infinity) * 3_600;
  const random = randomOf(number, `${kind} ${sweepId}`);
  switch (kind) {
    case 'sweep_rerun': {
      if (isSpent) return null;
      const selection = { trialIds: null, cancelled: random.chance(0.5), diverged: random.chance(0.5) };
      return { type: 'rerun', sweepId, selection, at };
    }
    case 'sweep_extended': {
      const extended = isSpent ? null : extend(spec, random);
      return extended === null ? null : { type: 'extend', sweepId, spec: extended, change: 'more', at };
    }
    case 'limits_changed': {
      const maxParallel = random.chance(0.6) ? random.whole(1, 4) : null;
      const energyWh = random.chance(0.3) ? random.between(0.5, 6) : null;
      const changes = random.pick([{ maxParallel }, { priority: random.between(0.2, 5) }, { energyWh }]);
      return { type: 'set_limits', sweepId, changes, at };
    }
    case 'sweep_labelled':
      return random.chance(0.5)
        ? { type: 'tag', sweepId, add: [random.pick(['a', 'b'])], remove: ['b'], at }
        : { type: 'archive', sweepId, archived: random.chance(0.7), at };
    case 'sweep_deleted':
      return { type: 'delete', sweepId, force: random.chance(0.7), at };
  }
}

function extend(spec: SweepSpec, random: Random): SweepSpec | null {
  switch (random.pick(['points', 'repeats', 'epochs'] as const)) {
    case 'points':
      if (spec.placement === 'blocked') return null;
      return { ...spec, search: more(spec.search, random) };
    case 'repeats':
      return { ...spec, repeats: spec.repeats + 1 };
    case 'epochs':
      if (spec.stopping.rule === 'hyperband') return null;
      return { ...spec, maxEpochs: spec.maxEpochs + random.whole(1, 3) };
  }
}

function more(search: SearchSpec, random: Random): SearchSpec {
  if (search.method !== 'grid' && search.method !== 'list') return { ...search, trials: search.trials + 3 };
  const { added = [] } = search;
  const points = Array.from({ length: random.whole(1, 3) }, (_, i) => ({
    x: 100 + added.length + i,
    group: 'a',
  }));
  return { ...search, added: [...added, ...points] };
}
