/** What whoever looks at the sweeps should know of the ledger and the fleet beside them. */
import type { State, TrainerState } from '../core/index.js';

/** Sentences, what was noticed once first, oldest first. */
export const warningsOf = (state: State): string[] => [
  ...state.notices.map(({ text, at }) => `${new Date(at).toISOString()}: ${text}`),
  ...[...state.trainers.values()].flatMap((trainer) => strangersOn(trainer, state.ledgerId)),
];

function strangersOn({ info, held }: TrainerState, ledgerId: string): string[] {
  const count = [...held.values()].filter((one) => one.ledgerId !== ledgerId).length;
  const attempts = count === 1 ? 'an attempt' : `${count} attempts`;
  return count === 0
    ? []
    : [`${info.trainerId} runs ${attempts} of another ledger, left alone; \`wattsweep trainers\` lists them`];
}
