/** What trials print stays on their boxes: it is read there when somebody asks, a piece a call. */
import { WattsweepError, type ErrorCode } from '../../../proto/errors.js';
import type {
  ReadTrialOutputRequest,
  ReadTrialOutputResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import type { OutputSource } from '../fleet/index.js';
import { trialTermIdOf } from '../core/index.js';
import { sweepIn, trialIn } from './find.js';
import type { Leader } from './leader.js';

/** @throws SWEEP_NOT_FOUND, TRIAL_NOT_FOUND, USAGE, OUTPUT_GONE, TRAINER_UNREACHABLE */
export async function readTrialOutput(
  { state }: Leader,
  request: ReadTrialOutputRequest,
  boxes: OutputSource,
): Promise<ReadTrialOutputResponse> {
  const sweep = sweepIn(state, request.sweepId);
  const trial = trialIn(sweep, request.trialId);
  const index =
    request.attempt === 0
      ? trial.attempts.length - 1
      : trial.attempts.findIndex(({ attempt }) => attempt === request.attempt);
  const attempt = trial.attempts[index];
  // Before the look at the box: what is printed later is not missed.
  const said = {
    attempt: attempt?.attempt ?? 0,
    trainerId: attempt?.trainerId ?? '',
    attemptOver: attempt !== undefined && attempt.end !== null,
    nextAttempt: trial.attempts[index + 1]?.attempt ?? 0,
    trialOver: trial.endedAt !== null,
    missing: '',
  };
  const nothing = { data: Buffer.alloc(0), next: request.from, leftOut: 0, atEnd: true };
  if (attempt === undefined) {
    if (request.attempt === 0) return { ...said, ...nothing };
    const known = trial.attempts.map((one) => one.attempt).join(', ');
    throw new WattsweepError(
      'USAGE',
      `the trial ${trial.trialId} has no attempt ${request.attempt}; it has ${known === '' ? 'none yet' : known}`,
    );
  }
  const lacks = (code: ErrorCode, message: string): ReadTrialOutputResponse => {
    if (!request.skipMissing || attempt.end === null) throw new WattsweepError(code, message);
    return { ...said, ...nothing, missing: message };
  };
  const { trainerId } = attempt;
  const address = state.trainers.get(trainerId)?.info.address;
  if (address === undefined)
    return lacks('TRAINER_UNREACHABLE', `${trainerId}, where it ran, is not of this fleet any more`);
  boxes.keepOnly(new Set([...state.trainers.values()].map(({ info }) => info.address)));
  const { ledgerId } = state;
  const { sweepId } = sweep;
  const { attempt: number, termId } = attempt;
  const key = { sweepId, trialId: trial.trialId, attempt: number, termId };
  const trialTermId = trialTermIdOf(trial, attempt);
  const answer = await boxes.readOutput(address, { key, trialTermId, ledgerId, from: request.from });
  if (answer.kind === 'ok') return { ...said, ...answer.response };
  if (answer.kind === 'unreachable')
    return lacks('TRAINER_UNREACHABLE', `${trainerId} at ${address} does not answer`);
  // The command to start it may be on its way, or was refused.
  if (answer.code === 'OUTPUT_GONE' && attempt.startedAt === null) return { ...said, ...nothing };
  return lacks(answer.code, `${trainerId}: ${answer.message}`);
}
