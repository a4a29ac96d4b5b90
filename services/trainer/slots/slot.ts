/** A slot at work: its supervisor, started when first needed, and the attempt that holds it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt } from '../attempts/attempt.js';
import type { StopMode } from '../protocol/runner.js';
import type { SupervisorMessage } from '../supervisor/messages.js';
import type { SlotInfo } from './inventory.js';
import { SupervisorLink, type LinkEvents, type LinkOptions } from './supervisor-link.js';

export interface SlotEvents {
  /** News about an attempt here. */
  readonly onNews: (attemptDir: string) => void;
  /** The supervisor will not run the attempt. */
  readonly onRefused: (attemptDir: string, reason: string) => void;
  /** The supervisor died; whatever held the slot has nobody that watches it. */
  readonly onGone: (slot: Slot) => void;
}

/** A supervisor that says nothing for so long is not waited for. */
const COOL_MS = 5_000;

export class Slot {
  /** The attempt that holds the slot; set before it is started, cleared when its end is known. */
  holder: Attempt | null = null;
  #link: SupervisorLink | null = null;
  /** Commands reach the supervisor in the order in which they were given. */
  #commands: Promise<void> = Promise.resolve();
  #closed = false;
  #onCooled: () => void = () => undefined;

  constructor(
    readonly info: SlotInfo,
    private readonly options: LinkOptions,
    private readonly events: SlotEvents,
    /** False for a slot that the box does not have any more, where an attempt of earlier still runs. */
    readonly offered: boolean = true,
  ) {}

  /** Links to a supervisor that an earlier service started. Returns the folder of the attempt that it runs, or null. */
  async adopt(): Promise<string | null> {
    this.#link = await SupervisorLink.adopt(this.options, this.#linkEvents());
    return this.#link?.heldAtStart ?? null;
  }

  /**
   * Throws when no supervisor can be started.
   *
   * @param further Slots whose devices the attempt holds, too.
   * @param prepare Makes the devices ready; what it throws is thrown, and nothing is started.
   */
  start(
    attempt: Attempt,
    further: readonly Slot[] = [],
    prepare: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    return this.#enqueue(async () => {
      // Its end may have been written while it waited here: nobody would undo what is made ready.
      if (attempt.over) return;
      await prepare();
      await Promise.all(further.map((slot) => slot.#cool()));
      if (this.#link?.isFormer === true) {
        const former = this.#link;
        this.#link = null;
        await former.retire();
      }
      this.#link ??= await SupervisorLink.open(this.options, this.#linkEvents());
      if (!this.isClosed()) this.#link.send({ type: 'start', attemptDir: attempt.dir });
    });
  }

  stop(attempt: Attempt, mode: StopMode, endAs: 'stopped' | 'preempted'): Promise<void> {
    return this.#enqueue(() => {
      this.#link?.send({ type: 'stop', attemptDir: attempt.dir, mode, endAs });
      return Promise.resolve();
    });
  }

  /** Resolves when no process of an earlier attempt waits here: an attempt of another slot holds this one, too. */
  async #cool(): Promise<void> {
    if (this.#link === null) return;
    const cooled = new Promise<void>((resolve) => (this.#onCooled = resolve));
    this.#link.send({ type: 'cool' });
    await Promise.race([cooled, sleep(COOL_MS, undefined, { ref: false })]);
  }

  #enqueue(command: () => Promise<void>): Promise<void> {
    const done = this.#commands.then(command);
    this.#commands = done.catch(() => undefined);
    return done;
  }

  #linkEvents(): LinkEvents {
    return {
      onMessage: (message: SupervisorMessage) => {
        if (message.type === 'cooled') this.#onCooled();
        else if (message.type === 'refused') this.events.onRefused(message.attemptDir, message.reason);
        else if (message.attemptDir !== null) this.events.onNews(message.attemptDir);
        else if (this.holder !== null) this.#missed(this.holder);
      },
      onGone: () => {
        this.#link = null;
        if (!this.#closed) this.events.onGone(this);
      },
    };
  }

  /** After a break of the connection the supervisor runs nothing: the attempt has ended, or its start was lost. */
  #missed(holder: Attempt): void {
    this.events.onNews(holder.dir);
    // It does not begin twice: the supervisor looks at the spool.
    if (holder.accepted.slotId === this.info.slotId)
      this.#link?.send({ type: 'start', attemptDir: holder.dir });
  }

  private isClosed(): boolean {
    return this.#closed;
  }

  /** Lets go of the supervisor. An idle one exits; one with an attempt lives on and waits for the next service. */
  close(): void {
    this.#closed = true;
    if (this.holder === null) this.#link?.send({ type: 'retire' });
    this.#link?.close();
  }
}
