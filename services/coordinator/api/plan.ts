/** PlanSweep: what a sweep would run and cost on this fleet. What submitting would refuse is refused here, too. */
import type { PlanSweepRequest, PlanSweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { State } from '../core/index.js';
import { parseSweepFile, planSweep } from '../spec/index.js';
import { pastEpochCost } from './past-cost.js';
import { checkFleet } from './submit.js';

/** @throws SPEC_*, RECIPE_NOT_OFFERED, BUDGET_WITHOUT_METER */
export function planOnFleet(state: State, { yaml, overrides, limit }: PlanSweepRequest): PlanSweepResponse {
  const { spec, warnings } = parseSweepFile(yaml, { overrides });
  const ofFleet = checkFleet(state, spec);
  const plan = planSweep(spec, { limit, epochCost: pastEpochCost(state, spec) });
  return { planJson: JSON.stringify({ ...plan, warnings: [...warnings, ...ofFleet, ...plan.warnings] }) };
}
