import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

export function register(program: Command): void {
  const command = program.command('trainers').description('trainers, their slots, and what runs on them');
  withServer(command).action(async (options: ServerOptions & JsonOption) => {
    const { withCoordinator } = await import('../client.js');
    const { note, print, printJson, table } = await import('../output.js');
    const { trainerJson } = await import('../json.js');
    const { trainerStateName } = await import('../sweep-view.js');
    const { UNREAD } = await import('../format.js');
    const { trainers } = await withCoordinator(options, (coordinator) => coordinator.trainers());
    if (options.json) {
      printJson({ trainers: trainers.map(trainerJson) });
      return;
    }
    if (trainers.length === 0) {
      note('No trainer has joined. Start one with `wattsweep trainer` on a box, or `wattsweep up` here.');
      return;
    }
    const rows = trainers.flatMap((trainer) =>
      trainer.slots.map((slot) => [
        trainer.trainerId,
        trainerStateName(trainer.state),
        trainer.address,
        slot.slotId,
        slot.deviceModel,
        trainer.powerMethod === '' ? UNREAD : trainer.powerMethod,
        slot.holder === '' ? 'free' : slot.holder,
      ]),
    );
    const titles = ['TRAINER', 'STATE', 'ADDRESS', 'SLOT', 'DEVICE', 'POWER', 'RUNS'];
    print(
      table(
        titles.map((title) => ({ title })),
        rows,
      ),
    );
  });
}
