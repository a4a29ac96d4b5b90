/** What is done to the processes of a run, and when: drawn from the seed, so that a run can be had again. */
import { type Random, randomOf } from '../simulation/random.js';

export const CHAOS_KINDS = [
  'coordinator_kill',
  'coordinator_freeze',
  'trainer_kill',
  'trainer_freeze',
  'nats_kill',
  'nats_freeze',
  'child_kill',
  'child_freeze',
  'supervisor_kill',
  'supervisor_freeze',
] as const;
/** A schedule may also cut a trainer off from NATS; the drawn ones only kill and stop processes. */
export type ChaosKind = (typeof CHAOS_KINDS)[number] | 'trainer_cut';

export interface ChaosEvent {
  readonly kind: ChaosKind;
  /** Milliseconds after the sweep was submitted. */
  readonly at: number;
  /** How long the process stays down, or stopped. */
  readonly lastsMs: number;
  /** Which of those that there are; taken modulo their number. */
  readonly target: number;
}

export interface ScheduleOptions {
  readonly events: number;
  readonly withinMs: number;
  readonly leaseTtlMs: number;
  readonly lostAfterMs: number;
}

const FIRST_AT_MS = 800;

/** Every kind of process is hit: the first draws go round, the rest falls where it falls. */
export function drawSchedule(seed: number, options: ScheduleOptions): ChaosEvent[] {
  const { events, withinMs } = options;
  const random = randomOf(seed, 'chaos');
  const first = random.whole(0, CHAOS_KINDS.length - 1);
  const drawn = Array.from({ length: events }, (_, i): ChaosEvent => {
    const kind =
      i < CHAOS_KINDS.length / 2
        ? CHAOS_KINDS[(first + 3 * i) % CHAOS_KINDS.length]!
        : random.pick(CHAOS_KINDS);
    return {
      kind,
      at: Math.round(random.between(FIRST_AT_MS, withinMs)),
      lastsMs: Math.round(lasts(random, options)),
      target: random.whole(0, 23),
    };
  });
  return drawn.sort((a, b) => a.at - b.at);
}

/** A blink, about a lease, longer than a lost trainer is waited for. */
const lasts = (random: Random, { leaseTtlMs, lostAfterMs }: ScheduleOptions): number =>
  random.pick([
    random.between(50, leaseTtlMs / 2),
    random.between(leaseTtlMs, 2 * leaseTtlMs),
    random.between(lostAfterMs, 1.5 * lostAfterMs),
  ]);

export const describeEvent = ({ kind, at, lastsMs, target }: ChaosEvent): string =>
  `${(at / 1_000).toFixed(2)} s ${kind} for ${(lastsMs / 1_000).toFixed(2)} s, target ${target}`;
