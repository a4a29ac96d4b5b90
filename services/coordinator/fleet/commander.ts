/**
 * Carries out the core's actions on trainers: start, stop and list attempts. Commands are idempotent and carry the
 * fence, so each is repeated until the trainer answers, or is lost, or nobody wants it any more. What a trainer answers
 * goes back to the core as an input.
 */
import type { Logger } from 'pino';
import type { Fence } from '../../../proto/gen/wattsweep/v1/attempt.js';
import { StopMode, type StartAttemptRequest } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { systemClock, type Clock } from '../clock.js';
import type { Action, AttemptState, Input, ListedAttempt, NamedAttempt, State } from '../core/index.js';
import type { Answer } from './answer.js';
import type { TrainerCommands } from './clients.js';
import { toKey, toListedAttempt } from './convert.js';
import { toSetup } from './setup.js';
import { nameOf, StartsUnderway } from './underway.js';

type CommandName = Action['type'];

export interface CommanderOptions {
  /** Closed when the signal aborts. */
  readonly commands: TrainerCommands;
  readonly state: () => State;
  readonly now: () => number;
  readonly offer: (input: Input) => void;
  /** A trainer has seen a newer term, or another one of this number: does this coordinator still lead? */
  readonly onStaleTerm: (trainerId: string, knownTerm: number | null) => void;
  /** Resolves when everything that stands on REPORTS now has been decided. @throws NATS_UNREACHABLE */
  readonly reportsTaken: () => Promise<void>;
  /** The term that stands in the ledger; the state may be ahead of it. */
  readonly term: () => number;
  readonly onCommanded: (command: CommandName, result: 'ok' | 'refused' | 'failed') => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** @default 60000 */
  readonly startWithinMs?: number;
  /** @default systemClock */
  readonly clock?: Clock;
  /** Scatters repeated calls: 0 up to 1. @default Math.random */
  readonly random?: () => number;
}

type ActionOf<T extends CommandName> = Extract<Action, { type: T }>;

/** Most actions after which attempts and channels of before are still remembered. */
const TIDY_AFTER_ACTIONS = 1_000;

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** How often a trainer is asked that holds attempts of other ledgers. */
const HELD_LOOK_MS = 10_000;

/** A box that cannot be reached for so long, though it renews its record, gives the trial back. */
const START_WITHIN_MS = 60_000;

const STOP_MODES = { stop: StopMode.STOP, pause: StopMode.PAUSE, cancel: StopMode.CANCEL } as const;

export class Commander {
  readonly #options: CommanderOptions;
  readonly #clock: Clock;
  readonly #underway: StartsUnderway;
  #actionsSinceTidy = 0;
  /** The last command of each attempt: the next one of the same attempt waits for it. */
  readonly #tails = new Map<string, Promise<void>>();
  /** Trainers that are being asked, and whether they shall be asked once more afterwards. */
  readonly #listing = new Map<string, boolean>();
  /** Trainers that will be asked again because of what they hold. */
  readonly #watched = new Set<string>();
  /** What trainers hold, as the log has it: it is asked for again and again. */
  readonly #toldHeld = new Map<string, readonly string[]>();

  constructor(options: CommanderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#underway = new StartsUnderway(options.state());
    options.signal.addEventListener('abort', () => options.commands.close(), { once: true });
  }

  /** Begins to carry out actions, in order for each attempt. Returns at once. */
  perform(actions: readonly Action[]): void {
    if (actions.length === 0) return;
    for (const action of actions) {
      if (this.#options.signal.aborted) return;
      if (action.type === 'list_attempts') {
        this.#list(action.trainerId);
        continue;
      }
      const key = nameOf(action);
      if (action.type === 'start_attempt') this.#underway.begin(action);
      const before = this.#tails.get(key) ?? Promise.resolve();
      const tail = before.then(() =>
        action.type === 'start_attempt' ? this.#start(action) : this.#stop(action),
      );
      this.#tails.set(key, tail);
      void tail
        .catch((error: unknown) => this.#options.log.error({ err: error, action }, 'a command failed'))
        .finally(() => {
          if (this.#tails.get(key) === tail) this.#tails.delete(key);
        });
    }
    this.#actionsSinceTidy += actions.length;
    const trainersCame = actions.some(({ type }) => type === 'list_attempts');
    if (trainersCame || this.#actionsSinceTidy >= TIDY_AFTER_ACTIONS) this.#tidy();
  }

  /** Forgets attempts and channels of before. Looks at the whole fleet, so that not every commit can afford it. */
  #tidy(): void {
    this.#actionsSinceTidy = 0;
    const state = this.#options.state();
    this.#underway.keepOnly(state);
    this.#options.commands.keepOnly(
      new Set([...state.trainers.values()].map((trainer) => trainer.info.address)),
    );
  }

  async #start(action: ActionOf<'start_attempt'>): Promise<void> {
    const { sweepId, trialId, attempt } = action;
    const wanted = (): boolean => this.#live(action)?.stopMode === null;
    const request: Omit<StartAttemptRequest, 'fence'> = {
      key: toKey(action),
      slotId: action.slotId,
      recipe: action.recipe,
      command: action.command,
      parametersJson: JSON.stringify(action.parameters),
      maxEpochs: action.maxEpochs,
      seed: action.seed,
      repeat: action.repeat,
      objectiveMetric: action.objectiveMetric,
      resumeFrom: action.resumeFrom,
      furtherSlotIds: action.furtherSlotIds ?? [],
      trialTermId: action.trialTermId,
      setup: action.setup === undefined ? undefined : toSetup(action.setup),
      code: action.codeSha256 === undefined ? undefined : { sha256: action.codeSha256 },
    };
    const answer = await this.#command(
      'start_attempt',
      action.trainerId,
      wanted,
      (address) => this.#options.commands.startAttempt(address, { ...request, fence: this.#fence() }),
      this.#options.startWithinMs ?? START_WITHIN_MS,
    );
    this.#underway.settle(action);
    if (answer === null || answer.kind === 'ok' || !wanted()) return;
    const { message } = answer;
    const { code, retryable } =
      answer.kind === 'refused' ? answer : { code: 'TRAINER_UNREACHABLE', retryable: true };
    this.#options.log.warn({ sweepId, trialId, attempt, trainerId: action.trainerId, code }, message);
    this.#options.offer({
      type: 'start_refused',
      sweepId,
      trialId,
      attempt,
      retryable,
      code,
      message,
      at: this.#options.now(),
    });
  }

  async #stop(action: ActionOf<'stop_attempt'>): Promise<void> {
    const { trainerId, mode, reason } = action;
    const answer = await this.#command(
      'stop_attempt',
      trainerId,
      () => true,
      (address) =>
        this.#options.commands.stopAttempt(address, {
          fence: this.#fence(),
          key: toKey(action),
          mode: STOP_MODES[mode],
          reason,
          ledgerId: action.ledgerId ?? '',
        }),
    );
    // The box knows nothing that could be stopped: what it does know settles the attempt.
    if (answer?.kind === 'refused' || (answer?.kind === 'ok' && !answer.response.wasRunning))
      this.#list(trainerId);
  }

  #list(trainerId: string): void {
    if (this.#listing.has(trainerId)) {
      this.#listing.set(trainerId, true);
      return;
    }
    this.#listing.set(trainerId, false);
    void this.#listOnce(trainerId)
      .catch((error: unknown) =>
        this.#options.log.error({ err: error, trainerId }, 'a trainer could not be asked'),
      )
      .finally(() => {
        const again = this.#listing.get(trainerId) === true;
        this.#listing.delete(trainerId);
        if (again && !this.#options.signal.aborted) this.#list(trainerId);
      });
  }

  async #listOnce(trainerId: string): Promise<void> {
    let unknowable = this.#underway.before();
    const answer = await this.#command(
      'list_attempts',
      trainerId,
      () => true,
      (address) => {
        unknowable = this.#underway.before();
        return this.#options.commands.listAttempts(address, { fence: this.#fence() });
      },
    );
    if (answer?.kind !== 'ok') return;
    const state = this.#options.state();
    const held = answer.response.attempts.flatMap((status) => toListedAttempt(status) ?? []);
    const names = new Set(held.map(nameOf));
    const coming = unknowable(state, trainerId).filter((attempt) => !names.has(nameOf(attempt)));
    const attempts = [...held, ...coming];
    this.#options.offer({ type: 'attempts_listed', trainerId, attempts, at: this.#options.now() });
    this.#lookAgain(trainerId);
    const told = answer.response.attempts.filter(({ endAcknowledged }) => endAcknowledged);
    void this.#missEnds(
      trainerId,
      told.flatMap((status) => toListedAttempt(status) ?? []),
    );
  }

  /** The live attempt of that name; undefined when it is none. */
  #live({ sweepId, trialId, attempt, termId = '' }: NamedAttempt): AttemptState | undefined {
    const current = this.#options.state().sweeps.get(sweepId)?.trials.get(trialId)?.attempts.at(-1);
    const isIt = current?.attempt === attempt && current.termId === termId && current.end === null;
    return isIt ? current : undefined;
  }

  /**
   * NATS has taken the ends of these. One that lives on once REPORTS has been read up to now is waited for in vain: its end
   * was lost with a part of the stream, or of the ledger.
   */
  async #missEnds(trainerId: string, told: readonly ListedAttempt[]): Promise<void> {
    const { state, reportsTaken, offer, now, signal, log } = this.#options;
    const lives = (one: ListedAttempt): boolean =>
      one.ledgerId === state().ledgerId && this.#live(one) !== undefined;
    for (let open = told.filter(lives); open.length > 0 && !signal.aborted; open = open.filter(lives)) {
      try {
        await reportsTaken();
      } catch {
        await this.#clock.sleep(LONGEST_WAIT_MS, { signal });
        continue;
      }
      for (const one of open.filter(lives)) {
        log.warn(
          { trainerId, attempt: nameOf(one) },
          'the end of an attempt is not on the stream of reports any more',
        );
        const { sweepId, trialId, attempt, termId = '' } = one;
        offer({ type: 'end_unheard', sweepId, trialId, attempt, termId, trainerId, at: now() });
      }
      return;
    }
  }

  /** What a trainer holds of other ledgers reports to nobody here: its end is seen by asking. */
  #lookAgain(trainerId: string): void {
    const { state, signal, log } = this.#options;
    const held = [...(state().trainers.get(trainerId)?.held.keys() ?? [])];
    const isNews = held.some((name) => this.#toldHeld.get(trainerId)?.includes(name) !== true);
    this.#toldHeld.set(trainerId, held);
    if (isNews) log.warn({ trainerId, held }, 'attempts that this ledger never heard of are left alone');
    if (held.length === 0 || this.#watched.has(trainerId)) return;
    this.#watched.add(trainerId);
    void this.#clock.sleep(HELD_LOOK_MS, { signal, ref: false }).then(() => {
      this.#watched.delete(trainerId);
      if (!signal.aborted) this.#list(trainerId);
    });
  }

  #fence(): Fence {
    const { ledgerId, termId } = this.#options.state();
    return { ledgerId, term: this.#options.term(), termId };
  }

  /**
   * Repeats the call until it is answered, or `withinMs` have passed; null when the trainer is lost or the command is
   * not wanted any more.
   */
  async #command<T>(
    name: CommandName,
    trainerId: string,
    wanted: () => boolean,
    call: (address: string) => Promise<Answer<T>>,
    withinMs = Infinity,
  ): Promise<Answer<T> | null> {
    const { state, signal, onCommanded, onStaleTerm, log, random = Math.random } = this.#options;
    const begin = this.#clock.monotonicMs();
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      const trainer = state().trainers.get(trainerId);
      if (signal.aborted || trainer === undefined || trainer.status === 'lost' || !wanted()) return null;
      const term = this.#options.term();
      const answer = await call(trainer.info.address);
      if (answer.kind === 'ok') {
        onCommanded(name, 'ok');
        return answer;
      }
      onCommanded(name, answer.kind === 'refused' ? 'refused' : 'failed');
      if (answer.kind === 'refused' && answer.code !== 'STALE_TERM') return answer;
      // One that this leader has outgrown meanwhile says nothing.
      if (answer.kind === 'refused' && term === this.#options.term())
        onStaleTerm(trainerId, answer.knownTerm ?? null);
      if (answer.kind === 'unreachable' && this.#clock.monotonicMs() - begin >= withinMs) return answer;
      log.debug(
        { trainerId, command: name, said: answer.message },
        'a trainer did not take a command; trying again',
      );
      await this.#clock.sleep(wait * (0.75 + 0.5 * random()), { signal });
    }
  }
}
