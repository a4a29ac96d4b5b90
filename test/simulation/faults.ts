/** What goes wrong in a run: a list, drawn from the seed, in which each entry may be left out. */
import { randomOf } from './random.js';

export const FAULT_KINDS = [
  'coordinator_crash',
  'coordinator_freeze',
  'lease_lost',
  'coordinator_cut_off',
  'trainer_cut_off',
  'calls_cut_off',
  'box_lost',
  'box_gone',
  'box_wiped',
  'service_restart',
  'trainer_drained',
  'trainer_parked',
  'box_broken',
  'trainer_slow',
  'nats_restart',
  'ledger_restored',
  'lost_acknowledgements',
  'lost_requests',
  'late',
  'duplicates',
  'republish',
  'clock_jump',
  'sweep_paused',
  'sweep_stopped',
  'sweep_rerun',
  'sweep_extended',
  'limits_changed',
  'sweep_labelled',
  'sweep_deleted',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds since the run began. */
  readonly at: number;
  readonly lastsMs: number;
  /** Which coordinator, trainer or sweep; taken modulo their number. */
  readonly target: number;
  /** Of a clock jump, milliseconds. */
  readonly jumpMs: number;
}

/** None of these keeps a word from arriving. */
export const HARMLESS: ReadonlySet<FaultKind> = new Set([
  'duplicates',
  'republish',
  'sweep_paused',
  'sweep_labelled',
]);

/** By then it is lifted, milliseconds since the run began. */
export const endOf = ({ kind, at, lastsMs }: Fault): number =>
  at + lastsMs + (kind === 'ledger_restored' ? RESTORE_MS : 0);

/** From the end of the coordinators until a copy stands in the ledger's place: what they had sent has arrived by then. */
export const RESTORE_MS = 200;

const FIRST_AT_MS = 500;
const LAST_AT_MS = 60_000;
/** So close that the second meets what the first has just begun. */
const TOGETHER_MS = 400;

export function drawFaults(seed: number): Fault[] {
  const random = randomOf(seed, 'faults');
  const faults: Fault[] = [];
  for (let i = random.whole(0, 10); i > 0; i -= 1) {
    const before = faults.at(-1);
    const at =
      before !== undefined && random.chance(0.35)
        ? before.at + random.between(0, TOGETHER_MS)
        : random.between(FIRST_AT_MS, LAST_AT_MS);
    let kind = random.pick(FAULT_KINDS);
    // A sweep that is stopped has no more to show.
    if (kind === 'sweep_stopped' && random.chance(0.5)) kind = 'sweep_paused';
    if (kind === 'sweep_deleted' && random.chance(0.7)) kind = 'sweep_rerun';
    faults.push({
      kind,
      at: Math.round(at),
      // Blinks, some seconds, and longer than anything waits.
      lastsMs: Math.round(
        random.pick([
          random.between(20, 1_000),
          random.between(1_000, 12_000),
          random.between(12_000, 70_000),
        ]),
      ),
      target: random.whole(0, 11),
      jumpMs: Math.round(random.between(-1, 1) * random.pick([2_000, 60_000, 7_200_000])),
    });
  }
  return faults.sort((a, b) => a.at - b.at);
}

export const describeFault = ({ kind, at, lastsMs, target, jumpMs }: Fault): string =>
  `${kind} at ${(at / 1_000).toFixed(3)} s for ${(lastsMs / 1_000).toFixed(3)} s, target ${target}` +
  (kind === 'clock_jump' ? `, by ${(jumpMs / 1_000).toFixed(1)} s` : '');

/** Leaves out what is not needed to fail: halves first, then one by one. */
export async function minimise(
  faults: readonly Fault[],
  fails: (faults: readonly Fault[]) => Promise<boolean>,
): Promise<readonly Fault[]> {
  let kept = faults;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < kept.length;) {
      const without = kept.filter((_, i) => i < from || i >= from + size);
      if (await fails(without)) kept = without;
      else from += size;
    }
  }
  return kept;
}
