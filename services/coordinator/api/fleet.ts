/** What operators ask of the fleet: lists, drains, releases, the end of attempts that another ledger started. */
import { WattsweepError } from '../../../proto/errors.js';
import {
  TrainerControl,
  type ControlTrainerRequest,
  type ControlTrainerResponse,
  type ListTrainersResponse,
  type StopHeldAttemptRequest,
  type StopHeldAttemptResponse,
} from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { isForgettable, type HeldAttempt, type State, type TrainerState } from '../core/index.js';
import type { Leader } from './leader.js';
import { heldName, trainerView } from './views.js';

export const listTrainers = (state: State): ListTrainersResponse => ({
  trainers: [...state.trainers.values()]
    .map(trainerView)
    .sort((a, b) => (a.trainerId < b.trainerId ? -1 : a.trainerId > b.trainerId ? 1 : 0)),
});

const CONTROLS: Readonly<Record<TrainerControl, 'drain' | 'undrain' | 'release' | 'forget' | null>> = {
  [TrainerControl.DRAIN]: 'drain',
  [TrainerControl.UNDRAIN]: 'undrain',
  [TrainerControl.RELEASE]: 'release',
  [TrainerControl.FORGET]: 'forget',
  [TrainerControl.UNSPECIFIED]: null,
  [TrainerControl.UNRECOGNIZED]: null,
};

/** @throws TRAINER_NOT_FOUND, USAGE, DEPOSED */
export async function controlTrainer(
  leader: Leader,
  { trainerId, control: asked, stopRunning }: ControlTrainerRequest,
  now: () => number,
): Promise<ControlTrainerResponse> {
  const trainer = trainerIn(leader.state, trainerId);
  const control = CONTROLS[asked];
  if (control === null)
    throw new WattsweepError('USAGE', 'the request does not say what to do with the trainer');
  if (control === 'forget' && !isForgettable(trainer))
    throw new WattsweepError('USAGE', `${trainerId} is ${trainer.status}: only a lost trainer is forgotten`, {
      advice: 'End its service first; it is lost after --lost-after of the coordinator.',
    });
  await leader.offer([{ type: 'control_trainer', trainerId, control, stopRunning, at: now() }]);
  const after = leader.state.trainers.get(trainerId);
  return { trainer: after === undefined ? undefined : trainerView(after) };
}

/** @throws TRAINER_NOT_FOUND, HELD_NOT_FOUND, USAGE, DEPOSED */
export async function stopHeldAttempt(
  leader: Leader,
  { trainerId, attempt: name, ledgerId: ledger }: StopHeldAttemptRequest,
  now: () => number,
): Promise<StopHeldAttemptResponse> {
  const found = heldIn(trainerIn(leader.state, trainerId), name, ledger);
  const { sweepId, trialId, attempt, termId = '', ledgerId } = found;
  const ref = { sweepId, trialId, attempt, termId };
  await leader.offer([{ type: 'stop_held', trainerId, ledgerId, ...ref, at: now() }]);
  return { trainer: trainerView(trainerIn(leader.state, trainerId)) };
}

function trainerIn(state: State, trainerId: string): TrainerState {
  const trainer = state.trainers.get(trainerId);
  if (trainer === undefined)
    throw new WattsweepError('TRAINER_NOT_FOUND', `there is no trainer ${trainerId}`);
  return trainer;
}

function heldIn({ info, held }: TrainerState, name: string, ledgerId: string): HeldAttempt {
  const found = [...held.values()].filter(
    (one) => heldName(one) === name && (ledgerId === '' || one.ledgerId === ledgerId),
  );
  const [first, second] = found;
  if (first === undefined)
    throw new WattsweepError(
      'HELD_NOT_FOUND',
      `${info.trainerId} holds no attempt ${name}${ledgerId === '' ? '' : ` of the ledger ${ledgerId}`}; what this ledger knows is ended by stopping its sweep`,
    );
  if (second !== undefined)
    throw new WattsweepError(
      'USAGE',
      `${info.trainerId} holds ${name} of ${found.length} ledgers: ${found.map((one) => one.ledgerId).join(', ')}`,
      { advice: 'Name the ledger with --ledger.' },
    );
  return first;
}
