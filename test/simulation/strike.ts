/** What each kind of fault does to a run, and how it is lifted. */
import { LEADER_BUCKET } from '../../proto/subjects.js';
import type { Input } from '../../services/coordinator/core/index.js';
import type { SimCoordinator } from './coordinator.js';
import { RESTORE_MS, type Fault } from './faults.js';
import type { SimNats, Weather } from './nats.js';
import type { ChangeKind } from './people.js';
import type { Scheduler } from './scheduler.js';
import type { SimTrainer } from './trainer.js';

export interface Stage {
  readonly scheduler: Scheduler;
  readonly nats: SimNats;
  readonly coordinators: readonly SimCoordinator[];
  readonly trainers: readonly SimTrainer[];
  readonly sweepIds: readonly string[];
  /** A person's request, made once. */
  readonly ask: (control: Extract<Input, { type: 'control' }>['control'], sweepId: string) => void;
  /** An older copy takes the place of the ledger. */
  readonly restore: (number: number) => void;
  readonly change: (kind: ChangeKind, sweepId: string, number: number) => void;
  readonly drain: (trainerId: string, stopRunning: boolean) => void;
  /** These are asked until they are taken. */
  readonly undrain: (trainerId: string) => void;
  readonly insist: (control: 'resume', sweepId: string) => void;
}

const FOR_EVER_MS = 30_000;

type Lift = (undo: () => void) => void;

export function strike(stage: Stage, fault: Fault): void {
  const { nats, coordinators, trainers, sweepIds } = stage;
  const { kind, lastsMs, target, jumpMs } = fault;
  const coordinator = coordinators[target % coordinators.length]!;
  const trainer = trainers[target % trainers.length]!;
  const sweepId = sweepIds[target % sweepIds.length]!;
  const lift: Lift = (undo) => stage.scheduler.after(lastsMs, undo);
  switch (kind) {
    case 'coordinator_crash':
      coordinator.kill();
      lift(() => coordinator.start());
      return;
    case 'coordinator_freeze': {
      const { process } = coordinator;
      process?.freeze();
      lift(() => process?.thaw());
      return;
    }
    case 'lease_lost':
      nats.remove(LEADER_BUCKET, 'coordinator', null);
      return;
    case 'coordinator_cut_off':
    case 'trainer_cut_off': {
      const cut = kind === 'coordinator_cut_off' ? coordinator : trainer;
      const set = (isCut: boolean): void => {
        cut.cutOff = isCut;
        cut.link?.cut(isCut);
      };
      set(true);
      lift(() => set(false));
      return;
    }
    case 'calls_cut_off':
      coordinator.unreachable.add(trainer);
      lift(() => coordinator.unreachable.delete(trainer));
      return;
    case 'box_lost':
      trainer.crash();
      lift(() => trainer.boot());
      return;
    case 'box_gone':
      // Somebody must be left to do the work.
      if (trainer !== trainers[0]) trainer.vanish();
      return;
    case 'box_wiped':
      trainer.wipe();
      lift(() => trainer.boot());
      return;
    case 'service_restart':
      trainer.killService();
      lift(() => trainer.boot());
      return;
    case 'trainer_drained':
      trainer.drain(target % 2 === 0);
      // Its operator may well leave it so; but somebody must be left to do the work.
      if (lastsMs > FOR_EVER_MS && trainer !== trainers[0]) return;
      lift(() => {
        trainer.killService();
        trainer.boot();
      });
      return;
    case 'trainer_parked': {
      const { trainerId } = trainer.setup;
      stage.drain(trainerId, target % 2 === 0);
      lift(() => stage.undrain(trainerId));
      return;
    }
    case 'box_broken':
      trainer.box.broken = true;
      lift(() => (trainer.box.broken = false));
      return;
    case 'trainer_slow':
      trainer.box.slowness = 12;
      lift(() => (trainer.box.slowness = 1));
      return;
    case 'nats_restart':
      nats.stop();
      lift(() => nats.start());
      return;
    case 'ledger_restored':
      for (const each of coordinators) {
        each.kill();
        each.restores += 1;
      }
      stage.scheduler.after(RESTORE_MS, () => {
        stage.restore(fault.at);
        // The server starts with it, whatever else has stopped it.
        nats.start();
        lift(() => {
          for (const each of coordinators) {
            each.restores -= 1;
            each.start();
          }
        });
      });
      return;
    case 'lost_acknowledgements':
      weather(nats, 'loseAnswer', 0.5, target, lift);
      return;
    case 'lost_requests':
      weather(nats, 'loseRequest', 0.5, target, lift);
      return;
    case 'late':
      weather(nats, 'late', 0.4, target, lift);
      return;
    case 'duplicates':
      nats.duplicates = 0.5;
      lift(() => (nats.duplicates = 0));
      return;
    case 'republish':
      trainer.republish();
      return;
    case 'clock_jump':
      coordinator.clockOffsetMs += jumpMs;
      lift(() => (coordinator.clockOffsetMs -= jumpMs));
      return;
    case 'sweep_paused':
      stage.ask('pause', sweepId);
      lift(() => stage.insist('resume', sweepId));
      return;
    case 'sweep_stopped':
      stage.ask('stop', sweepId);
      return;
    case 'sweep_rerun':
    case 'sweep_extended':
    case 'limits_changed':
    case 'sweep_labelled':
    case 'sweep_deleted':
      stage.change(kind, sweepId, fault.at);
      return;
  }
}

function weather(
  nats: SimNats,
  what: Exclude<keyof Weather, 'publishesOnly'>,
  chance: number,
  target: number,
  lift: Lift,
): void {
  const links = [...nats.links];
  for (const link of links) {
    link.weather[what] = chance;
    link.weather.publishesOnly = target % 3 > 0;
  }
  lift(() => {
    for (const link of links) link.weather[what] = 0;
  });
}
