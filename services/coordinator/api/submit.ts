/** SubmitSweep: from a sweep file to an accepted sweep. What no box of the fleet offers is refused here. */
import { randomInt } from 'node:crypto';
import { WattsweepError } from '../../../proto/errors.js';
import type { SubmitSweepRequest, SubmitSweepResponse } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import {
  lackOf,
  offersAll,
  recipesOf,
  slotsNeeded,
  suits,
  type State,
  type SweepSpec,
  type SweepState,
  type TrainerState,
} from '../core/index.js';
import { withSmoke } from '../core/search/index.js';
import { withModules, type ModuleFolder } from '../modules/index.js';
import { differenceText, parseSweepFile } from '../spec/index.js';
import { withCode, type CodeStore } from './code.js';
import { compareWithFile } from './extension.js';
import type { Leader } from './leader.js';
import { checkTags } from './tags.js';

/** It is recorded with the sweep. */
const MAX_REQUEST_ID = 200;

export interface SubmitContext {
  /** Users' modules that may run; null for none. */
  readonly modules: ModuleFolder | null;
  /** Null while NATS has not been reached. */
  readonly code: Pick<CodeStore, 'has'> | null;
}

/** @throws SPEC_*, USAGE, MODULE_*, CODE_*, RECIPE_NOT_OFFERED, BUDGET_WITHOUT_METER, SWEEP_NOT_FOUND, DEPOSED */
export async function submitSweep(
  leader: Leader,
  { yaml, overrides, requestId, tags, smoke, code }: SubmitSweepRequest,
  now: () => number,
  { modules, code: store }: SubmitContext = { modules: null, code: null },
): Promise<SubmitSweepResponse> {
  if (requestId.length > MAX_REQUEST_ID)
    throw new WattsweepError(
      'USAGE',
      `a request id has ${MAX_REQUEST_ID} characters at most, not ${requestId.length}`,
    );
  const { spec: written, warnings } = parseSweepFile(yaml, { overrides });
  checkTags(tags);
  const earlier = submittedBefore(leader.state, requestId);
  if (earlier !== null) {
    await leader.acknowledged();
    const { sweepId } = earlier;
    const changed = compareWithFile(earlier.spec, written).map(differenceText);
    const ofFile = `this request was accepted before, as ${sweepId}, and what is recorded holds`;
    return {
      sweepId,
      warnings: [...warnings, ...(changed.length === 0 ? [] : [`${ofFile}: ${changed.join('; ')}`])],
    };
  }
  const spec = await withCode(withModules(written, modules), code, store);
  const ofFleet = [...checkFleet(leader.state, spec), ...checkWarmStart(leader.state, spec)];
  const sweepId = freshId(leader.state, spec.name);
  const isBlocked = spec.placement === 'blocked';
  const toRun = smoke && !isBlocked ? withSmoke(spec) : spec;
  if (smoke && toRun.smoke === undefined)
    ofFleet.push(
      isBlocked
        ? 'a blocked sweep has an order of its own, so there is no smoke test'
        : 'no point is extreme, so there is no smoke test',
    );
  await leader.offer([{ type: 'submit', sweepId, spec: toRun, source: yaml, requestId, tags, at: now() }]);
  // The same request may have been waiting for its decision when this one looked.
  const accepted = submittedBefore(leader.state, requestId)?.sweepId ?? sweepId;
  return { sweepId: accepted, warnings: [...warnings, ...ofFleet] };
}

/** @throws SWEEP_NOT_FOUND when the sweep of that request was deleted meanwhile */
function submittedBefore(state: State, requestId: string): SweepState | null {
  if (requestId === '') return null;
  for (const [sweepId, request] of state.deleted)
    if (request === requestId)
      throw new WattsweepError(
        'SWEEP_NOT_FOUND',
        `this request was accepted before, as ${sweepId}, which was deleted since`,
        { advice: 'Submit it as a new request to run it once more.' },
      );
  return [...state.sweeps.values()].find((sweep) => sweep.requestId === requestId) ?? null;
}

/** Warnings about the fleet as it stands. @throws when it has trainers and none of them offers what the sweep runs */
export function checkFleet(state: State, spec: SweepSpec): string[] {
  const trainers = [...state.trainers.values()].filter((trainer) => trainer.status !== 'lost');
  const { energyWh, hours } = spec.budget;
  if (trainers.length === 0) return ['no trainer is here yet: the sweep waits for one'];

  const offering = trainers.filter(({ info }) => offersAll(info.recipes, spec));
  if (offering.length === 0) {
    throw new WattsweepError(
      'RECIPE_NOT_OFFERED',
      `none of ${trainers.length} trainers offers the recipe ${recipesOf(spec).join(' and ')}`,
    );
  }
  const unread = offering
    .filter((trainer) => suitableSlots(trainer, spec) > 0)
    .filter(({ info }) => info.powerMethod === '')
    .map(({ info }) => info.trainerId);
  const able = offering.filter((trainer) => suitableSlots(trainer, spec) > 0).length;
  if (energyWh !== null && hours === null && able > 0 && unread.length === able) {
    throw new WattsweepError(
      'BUDGET_WITHOUT_METER',
      'the budget is in watt-hours, but no trainer that could run the sweep can read its power',
    );
  }
  const warnings =
    energyWh === null || unread.length === 0
      ? []
      : [`budget.energy_wh does not see what ${unread.join(', ')} uses: no power meter there`];
  const lack = lackOf({ spec }, trainers);
  if (lack !== null) return [...warnings, `${lack}: the sweep waits for one that has`];
  const { maxParallel } = spec;
  const slots = offering.reduce((sum, trainer) => sum + suitableSlots(trainer, spec), 0);
  if (maxParallel === null || maxParallel <= Math.floor(slots / slotsNeeded({ spec }))) return warnings;
  return [...warnings, `max_parallel is ${maxParallel}, but only ${slots} slots suit the sweep now`];
}

/** Warnings about the sweep that the search starts warm from. @throws SWEEP_NOT_FOUND */
function checkWarmStart(state: State, { search, objective }: SweepSpec): string[] {
  if (search.method !== 'tpe' || search.warmStart === null) return [];
  const { sweepId } = search.warmStart;
  const earlier = state.sweeps.get(sweepId)?.spec.objective;
  if (earlier === undefined)
    throw new WattsweepError('SWEEP_NOT_FOUND', `search.warm_start: there is no sweep ${sweepId}`);
  return earlier.metric === objective.metric && earlier.goal === objective.goal
    ? []
    : [`search.warm_start: ${sweepId} has another objective, so nothing is learned from it`];
}

const suitableSlots = (trainer: TrainerState, spec: SweepSpec): number =>
  trainer.info.slots.filter((slot) => suits(trainer, slot, { spec })).length;

const MAX_SLUG = 58;
const SUFFIX_LENGTH = 4;

/** The sweep's name as a token, with four random characters. */
function freshId(state: State, name: string): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_SLUG)
    .replace(/^-+|-+$/g, '');
  for (;;) {
    const suffix = Array.from({ length: SUFFIX_LENGTH }, () => randomInt(36).toString(36)).join('');
    const id = `${slug === '' ? 'sweep' : slug}-${suffix}`;
    if (!state.sweeps.has(id) && !state.deleted.has(id)) return id;
  }
}
