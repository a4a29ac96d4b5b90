/** PlanSweep: what a sweep would run and cost on this fleet. What submitting would refuse is refused here, too. */
import { WattsweepError } from '../../../proto/errors.js';
import type { PlanSweepRequest, PlanSweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { State } from '../core/index.js';
import { parseSweepFile, planSweep } from '../spec/index.js';
import { pastEpochCost } from './past-cost.js';
import { checkFleet } from './submit.js';

/** Points that are listed: each is computed, and kept in memory, while the coordinator does nothing else. */
const MOST_POINTS = 1_000;

/** @throws SPEC_*, USAGE, RECIPE_NOT_OFFERED, BUDGET_WITHOUT_METER */
export function planOnFleet(state: State, { yaml, overrides, limit }: PlanSweepRequest): PlanSweepResponse {
  if (limit > MOST_POINTS)
    throw new WattsweepError('USAGE', `a coordinator lists ${MOST_POINTS} points at most, not ${limit}`, {
      advice: 'Plan without a coordinator to list more, or list fewer.',
    });
  const { spec, warnings } = parseSweepFile(yaml, { overrides });
  const ofFleet = checkFleet(state, spec);
  const plan = planSweep(spec, { limit, epochCost: pastEpochCost(state, spec) });
  return { planJson: JSON.stringify({ ...plan, warnings: [...warnings, ...ofFleet, ...plan.warnings] }) };
}
