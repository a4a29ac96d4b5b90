/** What the file says of where and how often trials run: resources, retries, blocks. */
import { MAX_BLOCK } from '../core/defaults.js';
import type { ResourcesSpec, RetriesSpec, SearchSpec, SweepSpec } from '../core/spec.js';
import type { Problems } from './problems.js';
import type { PartialSweepFile } from './schema.js';

export function readResources({ resources = {} }: PartialSweepFile): ResourcesSpec {
  const { gpus = null, device = null, memory_gb: memoryGb, labels } = resources;
  return {
    gpus,
    device,
    ...(memoryGb === undefined ? {} : { memoryGb }),
    ...(labels === undefined
      ? {}
      : { labels: Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)])) }),
  };
}

/** Empty where the file says nothing: the spec then has no such key. */
export function readRetries({ retries = {} }: PartialSweepFile): Pick<SweepSpec, 'retries'> {
  const given: RetriesSpec = Object.fromEntries(
    Object.entries(retries).map(([name, count]) => [name === 'out_of_memory' ? 'outOfMemory' : name, count]),
  );
  return Object.keys(given).length > 0 ? { retries: given } : {};
}

/** Searches whose points stand from the beginning. */
const LISTED: ReadonlySet<SearchSpec['method']> = new Set(['grid', 'random', 'sobol', 'list']);

/** `placement: blocked`, where the rest of the file allows it. */
export function readPlacement(
  { placement }: PartialSweepFile,
  { search, stopping, repeats }: Pick<SweepSpec, 'search' | 'stopping' | 'repeats'>,
  points: number,
  problems: Problems,
): Pick<SweepSpec, 'placement'> {
  if (placement !== 'blocked') return {};
  const path = ['placement'];
  const refuse = (message: string, expected: string): void =>
    problems.add({ code: 'SPEC_VALUE', path, message, expected });
  if (!LISTED.has(search.method))
    refuse('a search that learns chooses its points one after another', 'another search, or `any`');
  if (stopping.rule !== 'none')
    refuse(
      'under a stopping rule only some points are repeated, so blocks are not whole',
      '`stopping: none`, or `any`',
    );
  if (points > MAX_BLOCK)
    refuse(`a block would hold ${points} points`, `at most ${MAX_BLOCK} points, or \`any\``);
  if (repeats < 2)
    problems.warn(
      path,
      'with one repeat there is one block, and each setting runs on one device only; add `repeats`',
    );
  return { placement };
}
