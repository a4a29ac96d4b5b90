/**
 * When a snapshot is taken, by the leader's writer: as soon as the events since the last one are many, and more than a
 * share of all, so that both a restart and what snapshots cost stay in proportion. It is written in slices of a few
 * milliseconds between the inputs; a snapshot that fails costs nothing but time, and the next one is taken in due course.
 */
import { createHash } from 'node:crypto';
import { systemClock, type Clock } from '../../clock.js';
import { beforeFold, type State } from '../../core/index.js';
import type { SnapshotOptions } from './options.js';
import { StateWriter } from './state.js';
import { factsText, type SnapshotFacts } from './store.js';

const EVERY_EVENTS = 50_000;
/** A larger ledger has larger tails: what is written again and again stays a small multiple of what is new. */
const SHARE_OF_ALL = 0.1;
const SLICE_MS = 4;
const KEPT = 2;

/** Where the ledger stands; of a snapshot it is known once the last input that it holds is written. */
export type Place = Pick<SnapshotFacts, 'seq' | 'appendId' | 'reportsSeq'>;

/** A snapshot that is being written. */
interface Underway {
  readonly events: number;
  /** Decided inputs that it holds and the ledger does not have yet. */
  waiting: number;
  readonly settle: (place: Place | null) => void;
  readonly abandoned: AbortController;
}

export class SnapshotKeeper {
  readonly #options: SnapshotOptions;
  readonly #clock: Clock;
  /** One that still waits for its place in the ledger. */
  #underway: Underway | null = null;
  /** Until it is written. */
  #isBusy = false;
  #nextAt: number;

  /** @param events folded so far @param inSnapshot those of them that came from a snapshot */
  constructor(options: SnapshotOptions, events: number, inSnapshot: number, clock: Clock = systemClock) {
    this.#options = options;
    this.#clock = clock;
    this.#nextAt = inSnapshot + this.#tail(events);
  }

  /**
   * Begins one if it is due. It holds `state` as it is in this moment: what the ledger has, and inputs that wait for it.
   * @param written events in the ledger @param waiting inputs whose events are in the state only
   */
  look(state: State, written: number, waiting: readonly { readonly events: readonly unknown[] }[]): void {
    if (this.#isBusy || written < this.#nextAt) return;
    this.#isBusy = true;
    const events = written + waiting.reduce((sum, unit) => sum + unit.events.length, 0);
    this.#nextAt = events + this.#tail(events);
    const writer = new StateWriter(state);
    const { ledgerId } = state;
    const stop = beforeFold(state, (event) => writer.touch(state, event));
    let settle: (place: Place | null) => void = () => undefined;
    const placed = new Promise<Place | null>((resolve) => (settle = resolve));
    const underway = { events, waiting: waiting.length, settle, abandoned: new AbortController() };
    this.#underway = underway;
    void this.#write(writer, ledgerId, underway, placed, stop)
      .catch((error: unknown) => this.#options.tell({ what: 'failed', error }))
      .finally(() => {
        stop();
        this.#isBusy = false;
      });
  }

  /** How many of the inputs that wait may share the next entry: a snapshot ends with an entry. */
  get mayShare(): number {
    return this.#underway?.waiting ?? Infinity;
  }

  /** So many inputs have come into the ledger. */
  written(count: number, place: Place): void {
    const underway = this.#underway;
    if (underway === null) return;
    underway.waiting -= count;
    if (underway.waiting > 0) return;
    this.#underway = null;
    underway.settle(place);
  }

  /** What waits will not come into the ledger as it is. */
  abandon(): void {
    this.#underway?.abandoned.abort();
    this.#underway?.settle(null);
    this.#underway = null;
  }

  #tail(events: number): number {
    return Math.max(this.#options.everyEvents ?? EVERY_EVENTS, events * SHARE_OF_ALL);
  }

  async #write(
    writer: StateWriter,
    ledgerId: string,
    { events, abandoned: { signal: abandoned } }: Underway,
    placed: Promise<Place | null>,
    stop: () => void,
  ): Promise<void> {
    const { store, schema, tell } = this.#options;
    const begin = this.#clock.monotonicMs();
    const sink = store.create();
    const hash = createHash('sha256');
    let bytes = 0;
    let name: string;
    try {
      for await (const part of this.#parts(writer, abandoned)) {
        hash.update(part);
        bytes += part.length;
        await sink.write(part);
      }
      stop();
      const place = await placed;
      if (place === null || abandoned.aborted) {
        await sink.abandon();
        return;
      }
      const facts = { schema, ledgerId, events, ...place };
      name = `ledger-${String(place.seq).padStart(12, '0')}`;
      await sink.finish(name, facts, hash.update(factsText(facts)).digest('hex'));
      tell({ what: 'taken', seq: place.seq, bytes, ms: this.#clock.monotonicMs() - begin });
    } catch (error) {
      await sink.abandon().catch(() => undefined);
      throw error;
    }
    await this.#clear(name);
  }

  /** Parts of the store's size; in between the event loop goes on. */
  async *#parts(writer: StateWriter, abandoned: AbortSignal): AsyncGenerator<Uint8Array> {
    const { maxPartBytes } = this.#options.store;
    let collected: Uint8Array[] = [];
    let size = 0;
    let sliceBegan = this.#clock.monotonicMs();
    for (const frame of writer.frames()) {
      collected.push(frame);
      size += frame.length;
      if (size >= maxPartBytes) {
        const whole = Buffer.concat(collected);
        for (let from = 0; from < whole.length; from += maxPartBytes)
          yield whole.subarray(from, from + maxPartBytes);
        collected = [];
        size = 0;
      }
      if (this.#clock.monotonicMs() - sliceBegan < SLICE_MS) continue;
      await new Promise<void>((resolve) => this.#clock.nextTurn(resolve));
      if (abandoned.aborted) return;
      sliceBegan = this.#clock.monotonicMs();
    }
    if (size > 0) yield Buffer.concat(collected);
  }

  async #clear(newest: string): Promise<void> {
    const { store, schema } = this.#options;
    const names = (await store.list())
      .filter(({ name, facts }) => name === newest || facts.schema === schema)
      .map(({ name }) => name)
      .sort();
    // Those with a higher number are of a ledger that is gone.
    const until = names.indexOf(newest) + 1;
    await store.keepOnly(new Set(names.slice(Math.max(0, until - KEPT), until)));
  }
}
