/** From a StartAttempt request to what is written on the disk: checked as far as the service can, the rest is the recipe's. */
import { randomUUID } from 'node:crypto';
import { WattsweepError } from '../../../proto/errors.js';
import type { AttemptKey as WireKey } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isToken } from '../../../proto/subjects.js';
import { bootId } from '../host/process.js';
import { attemptFiles, type TrainerLayout } from '../layout.js';
import type { AttemptKey, Parameters } from '../protocol/runner.js';
import { pinned } from '../slots/cpus.js';
import { slotEnvironment, type SlotInfo } from '../slots/inventory.js';
import { programOf, startedProgram } from './program.js';
import type { AcceptedAttempt } from './record.js';
import type { ResumePoint } from './resume.js';

/** Name of the recipe that runs any program. */
export const COMMAND_RECIPE = 'command';

/** What the box allows and gives. */
export interface AcceptOptions {
  readonly layout: TrainerLayout;
  readonly trainerId: string;
  /** Recipes that this box offers. */
  readonly recipes: readonly string[];
  readonly allowCommands: readonly string[];
  readonly runnerCommand: readonly string[];
  readonly stopGraceMs: number;
  readonly warmIdleMs: number;
}

/** Part of the grace that a program of the command recipe gets, so that its runner can still say how it ended. */
const PROGRAM_GRACE = 0.8;

const isTermId = (text: string): boolean => text === '' || isToken(text);

/** Throws REQUEST_INVALID for a key that cannot name an attempt. */
export function checkedKey(key: WireKey | undefined, trialTermId = ''): AttemptKey {
  const isName = key !== undefined && isToken(key.sweepId) && isToken(key.trialId) && key.attempt >= 1;
  if (!isName || !isTermId(key.termId) || !isTermId(trialTermId))
    throw new WattsweepError(
      'REQUEST_INVALID',
      'The command names no attempt: sweep, trial and a number from 1.',
    );
  const { sweepId, trialId, attempt, termId } = key;
  return {
    sweepId,
    trialId,
    attempt,
    ...(termId === '' ? {} : { termId }),
    ...(trialTermId === '' ? {} : { trialTermId }),
  };
}

/** Throws RECIPE_NOT_OFFERED when this box does not run that, or PARAMETER_REFUSED for parameters that are no object. */
export function acceptAttempt(
  request: StartAttemptRequest,
  ledgerId: string,
  slot: SlotInfo,
  { path: resumeFrom, elsewhere }: ResumePoint,
  options: AcceptOptions,
): AcceptedAttempt {
  const { layout } = options;
  const key = checkedKey(request.key, request.trialTermId);
  const parameters = parseParameters(request.parametersJson);
  checkRecipe(request, options);
  const { work: workDir } = attemptFiles(layout.attemptDir(ledgerId, key));
  const checkpointDir = layout.checkpointDir(ledgerId, key);
  const places = {
    workDir,
    checkpointDir,
    codeDir: (sha256: string) => layout.codeDir(sha256),
    gpus: slot.device.uuids,
  };
  const program = programOf(request, parameters, places);
  return {
    version: 1,
    ledgerId,
    slotId: slot.slotId,
    ...(request.furtherSlotIds.length === 0 ? {} : { furtherSlotIds: request.furtherSlotIds }),
    metered: slot.metered,
    acceptedAtUnixMs: Date.now(),
    bootId: bootId(),
    runnerCommand: pinned(options.runnerCommand, slot.cpus),
    environment: {
      ...slotEnvironment(slot),
      WATTSWEEP_TRAINER: options.trainerId,
      WATTSWEEP_STOP_GRACE_MS: String(Math.floor(options.stopGraceMs * PROGRAM_GRACE)),
    },
    attemptEnvironment: {
      WATTSWEEP_SWEEP: key.sweepId,
      WATTSWEEP_ATTEMPT: String(key.attempt),
      WATTSWEEP_RESUME_EPOCH: resumeFrom === null ? '0' : resumeEpoch(request),
    },
    warmIdleMs: options.warmIdleMs,
    ...(elsewhere === null ? {} : { awaits: elsewhere }),
    ...(program.needs === null ? {} : { needs: program.needs }),
    token: `WATTSWEEP_ATTEMPT_TOKEN=${randomUUID()}`,
    spec: {
      key,
      recipe: request.recipe,
      ...program.spec,
      parameters,
      maxEpochs: request.maxEpochs,
      seed: request.seed,
      repeat: Math.max(1, request.repeat),
      objective: request.objectiveMetric,
      device: slot.device,
      workDir,
      checkpointDir,
      resumeFrom,
    },
  };
}

/** Newest epoch that the ledger has of the trial. */
const resumeEpoch = ({ resumeFrom }: StartAttemptRequest): string => resumeFrom.split('/')[1] ?? '0';

function parseParameters(json: string): Parameters {
  let value: unknown;
  try {
    value = JSON.parse(json === '' ? '{}' : json);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WattsweepError('PARAMETER_REFUSED', 'The parameters of the trial are no JSON object.');
  return value as Parameters;
}

function checkRecipe(request: StartAttemptRequest, { recipes, allowCommands }: AcceptOptions): void {
  if (request.recipe === COMMAND_RECIPE) {
    const program = startedProgram(request);
    // The name as the sweep writes it: allowing `python` allows what PATH calls so, and no file of that name elsewhere.
    if (!allowCommands.includes(program))
      throw new WattsweepError('RECIPE_NOT_OFFERED', `This box does not run the program '${program}'.`, {
        advice: `Opt in on the box with --allow-command ${program === '' ? 'PROGRAM' : program}.`,
      });
    return;
  }
  if (!recipes.includes(request.recipe))
    throw new WattsweepError(
      'RECIPE_NOT_OFFERED',
      `This box has no recipe '${request.recipe}'; it has ${recipes.join(', ')}.`,
    );
}
