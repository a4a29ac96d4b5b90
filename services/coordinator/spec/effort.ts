/**
 * What it takes to try expressions and constraints, counted and not timed, so that every coordinator gives the same answer. A
 * file that would keep a coordinator from everything else for long is refused before anything is tried.
 */
import { MAX_COMPARISONS, spaceOf } from '../core/search/index.js';
import type { Axes, SweepSpec } from '../core/spec.js';
import type { Problems } from './problems.js';

/** Characters of the expressions and constraints of one point: a draw may have to be made ten thousand times. */
const MOST_A_POINT = 5_000;
/** Characters times combinations, where every combination is tried. */
const MOST_IN_ALL = 20_000_000;

const lengthOf = (axes: Axes): number =>
  axes.reduce((sum, { domain }) => sum + (domain.kind === 'expression' ? domain.expression.length : 0), 0);

/** Reports a sweep whose points take too long to try. */
export function checkEffort(spec: SweepSpec, problems: Problems): void {
  const { constraints = [], search, sweep, cases } = spec;
  const ofConstraints = constraints.reduce((sum, { length }) => sum + length, 0);
  const ofExpressions = lengthOf(sweep) + Math.max(0, ...cases.map(lengthOf));
  const each = ofConstraints + ofExpressions;
  const path = ofConstraints > 0 ? ['constraints'] : [lengthOf(sweep) > 0 ? 'sweep' : 'cases'];
  const refuse = (message: string, expected: string): void =>
    problems.add({ code: 'SPEC_TOO_LARGE', path, part: 'key', message, expected });
  if (each > MOST_A_POINT) {
    const message = `the expressions and constraints of a point have ${each} characters`;
    refuse(message, `at most ${MOST_A_POINT} in all`);
    return;
  }
  if (search.method === 'list') return;
  const sizes = spaceOf(spec).branches.map(({ size }) => size);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  // Of larger spaces constraints are not tried on all, and cases are not held against each other.
  const isSmall = (size: number): boolean => size <= MAX_COMPARISONS;
  const ofCases = Math.min(MAX_COMPARISONS, sum(sizes.slice(1).filter(isSmall))) * ofExpressions;
  const ofAll = ofConstraints > 0 && isSmall(sum(sizes)) ? sum(sizes) * each : 0;
  if (Math.max(ofCases, ofAll) <= MOST_IN_ALL) return;
  refuse(
    `${sum(sizes)} combinations are too many to try ${each} characters of expressions and constraints on each`,
    `at most ${Math.floor(MOST_IN_ALL / each)} combinations, or shorter ones`,
  );
}
