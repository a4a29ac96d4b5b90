/** A user's search method: the points that its module proposes, checked against the space of the sweep. */
import { ModuleFault, proposeByModule } from '../own-modules.js';
import type { ModuleSearchSpec, Parameters, ParameterValue, SweepSpec } from '../spec.js';
import { canonicalJson } from './canonical.js';
import type { Results } from './method.js';
import { addExpressions, pointOf } from './point.js';
import { spaceOf, type Space, type SpaceBranch } from './space.js';

/** @throws ModuleFault for a point that is not of the space, breaks a constraint or was proposed before */
export function ownPoint(
  spec: SweepSpec,
  search: ModuleSearchSpec,
  position: number,
  results: Results,
): Parameters | null {
  const space = spaceOf(spec);
  const own = results();
  const values = proposeByModule(search.ref, spec, position, own);
  if (values === null) return null;
  const given = new Map(Object.entries(values));
  const faults: string[] = [];
  for (const branch of space.branches) {
    const fault = misfit(space, branch, given);
    if (fault !== null) {
      faults.push(fault);
      continue;
    }
    const point = pointIn(space, branch, given);
    const text = canonicalJson(point);
    if (!space.feasible(point)) throw new ModuleFault(`propose answered ${text}, which breaks a constraint`);
    if (space.enqueued.has(text) || own.some(({ parameters }) => canonicalJson(parameters) === text))
      throw new ModuleFault(`propose answered ${text}, which ran before`);
    return point;
  }
  throw new ModuleFault(`propose answered no point of the sweep: ${faults[0] ?? ''}`);
}

function pointIn(space: Space, branch: SpaceBranch, given: ReadonlyMap<string, ParameterValue>): Parameters {
  const values = new Map([...branch.constants, ...given]);
  addExpressions(space.context, branch.expressions, values);
  return pointOf(space.context, values);
}

/** Why the values are no point of the branch; null when they are. */
function misfit(
  space: Space,
  branch: SpaceBranch,
  given: ReadonlyMap<string, ParameterValue>,
): string | null {
  const names = new Set<string>();
  for (const index of branch.dimensions) {
    const dimension = space.dimensions[index];
    if (dimension === undefined) continue;
    names.add(dimension.name);
    const value = given.get(dimension.name);
    if (value === undefined) return `there is no value for ${dimension.name}`;
    if (dimension.cell(value) === null) return `${dimension.name} cannot be ${canonicalJson(value)}`;
  }
  for (const [name, value] of given) {
    const constant = branch.constants.get(name);
    if (names.has(name)) continue;
    if (constant === undefined || canonicalJson(constant) !== canonicalJson(value))
      return `${name} does not vary there`;
  }
  return null;
}
