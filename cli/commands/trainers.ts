import type { Command } from 'commander';
import type { Trainer } from '../../proto/gen/wattsweep/v1/coordinator.js';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

type Options = ServerOptions & JsonOption;

/** `trainers` and what operators do with them. */
export function register(program: Command): void {
  const command = program
    .command('trainers')
    .description('trainers, their slots, and what runs on them; drain, release, forget, stop what is held');
  withServer(command).action(showTrainers);
  const under = (usage: string, description: string): Command =>
    withServer(command.command(usage).description(description));

  under('drain <trainer>', 'place nothing new there; it is remembered, also over restarts')
    .option('--stop-running', 'what runs there checkpoints and goes on elsewhere')
    .action(async (trainerId: string, options: { readonly stopRunning?: boolean }, at: Command) => {
      await steer(trainerId, 'DRAIN', at.optsWithGlobals(), options.stopRunning === true);
    });
  under('undrain <trainer>', 'place attempts there again').action(
    async (trainerId: string, _options: Options, at: Command) => {
      await steer(trainerId, 'UNDRAIN', at.optsWithGlobals());
    },
  );
  under('release <trainer>', 'end the quarantine of the trainer and of its slots').action(
    async (trainerId: string, _options: Options, at: Command) => {
      await steer(trainerId, 'RELEASE', at.optsWithGlobals());
    },
  );
  under('forget <trainer>', 'take a lost trainer, which will not come back, out of the list').action(
    async (trainerId: string, _options: Options, at: Command) => {
      await steer(trainerId, 'FORGET', at.optsWithGlobals());
    },
  );
  under(
    'stop-held <trainer> <attempt>',
    'end an attempt (SWEEP/TRIAL#ATTEMPT) that another ledger started, after a checkpoint',
  )
    .option('--ledger <id>', 'ledger that started it, where several held attempts have one name')
    .action(
      async (trainerId: string, attempt: string, options: { readonly ledger?: string }, at: Command) => {
        const { withCoordinator } = await import('../client.js');
        const all = at.optsWithGlobals<Options>();
        const { trainer } = await withCoordinator(all, (coordinator) =>
          coordinator.stopHeld(trainerId, attempt, options.ledger ?? ''),
        );
        await say(trainer, all, `${attempt} on ${trainerId} is being ended`);
      },
    );
}

const SAID = {
  DRAIN: 'is drained',
  UNDRAIN: 'takes attempts again',
  RELEASE: 'is released',
  FORGET: 'is forgotten',
} as const;

async function steer(
  trainerId: string,
  control: keyof typeof SAID,
  options: Options,
  stopRunning = false,
): Promise<void> {
  const { withCoordinator } = await import('../client.js');
  const { TrainerControl } = await import('../../proto/gen/wattsweep/v1/coordinator.js');
  const { trainer } = await withCoordinator(options, (coordinator) =>
    coordinator.controlTrainer(trainerId, TrainerControl[control], { stopRunning }),
  );
  await say(trainer, options, `${trainerId} ${SAID[control]}`);
}

async function say(trainer: Trainer | undefined, { json }: JsonOption, sentence: string): Promise<void> {
  const { print, printJson } = await import('../output.js');
  const { trainerJson } = await import('../json.js');
  if (json === true) printJson({ trainer: trainer === undefined ? null : trainerJson(trainer) });
  else print(sentence);
}

async function showTrainers(options: Options): Promise<void> {
  const { withCoordinator } = await import('../client.js');
  const { note, print, printJson, table } = await import('../output.js');
  const { trainerJson } = await import('../json.js');
  const { heldRows, trainerRows, trainerNotes } = await import('../trainers-view.js');
  const { trainers } = await withCoordinator(options, (coordinator) => coordinator.trainers());
  if (options.json === true) {
    printJson({ trainers: trainers.map(trainerJson) });
    return;
  }
  if (trainers.length === 0) {
    note('No trainer has joined. Start one with `wattsweep trainer` on a box, or `wattsweep up` here.');
    return;
  }
  const titled = (titles: readonly string[]) => titles.map((title) => ({ title }));
  const titles = ['TRAINER', 'STATE', 'ADDRESS', 'SLOT', 'DEVICE', 'MEMORY', 'POWER', 'RUNS'];
  print(table(titled(titles), trainers.flatMap(trainerRows)));
  for (const line of trainers.flatMap(trainerNotes)) print(line);
  const held = trainers.flatMap(heldRows);
  if (held.length === 0) return;
  print(
    '\nHeld: attempts that this ledger never heard of. They keep their slots; `trainers stop-held` ends one.',
  );
  print(table(titled(['TRAINER', 'ATTEMPT', 'SLOTS', 'LEDGER', 'SINCE (UTC)', '']), held));
}
