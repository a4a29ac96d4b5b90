/**
 * Tells webhooks what the core has recorded as due. Each message is sent until it is answered with 2xx, at growing
 * intervals, and given up after an hour; what became of it goes back to the core as an input. The ledger holds what is
 * not settled, so the next leader sends it again, under the same id: at least once. Nobody waits for any of it, and
 * messages go independently of each other, so one that a receiver cannot take holds up no other. Not here: when a
 * message is due (`../core/notify/`).
 */
import type { Logger } from 'pino';
import { isAborted, systemClock, type Clock } from '../clock.js';
import {
  webhookHost,
  type Input,
  type LedgerEvent,
  type PendingNotification,
  type State,
} from '../core/index.js';
import { bodyOf } from './body.js';
import { postJson, type Answer, type Post } from './post.js';
import { Turnstile } from './turnstile.js';

export interface NotifierOptions {
  readonly state: () => State;
  readonly now: () => number;
  readonly offer: (input: Input) => void;
  readonly onNotified: (result: 'delivered' | 'failed' | 'given_up') => void;
  readonly log: Logger;
  /** Ends all that is under way; what is not settled stays in the ledger. */
  readonly signal: AbortSignal;
  /** @default postJson */
  readonly post?: Post;
  /** @default systemClock */
  readonly clock?: Clock;
  /** Scatters repeated calls: 0 up to 1. @default Math.random */
  readonly random?: () => number;
}

const AT_ONCE = 8;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 300_000;
const GIVE_UP_AFTER_MS = 3_600_000;
/** Also of a message that has lain in the ledger while nobody led. */
const FEWEST_ATTEMPTS = 3;

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #clock: Clock;
  readonly #turnstile = new Turnstile(AT_ONCE);
  /** Delivery ids that are under way. */
  readonly #underway = new Set<string>();

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Begins to send what has just become due. Returns at once. */
  committed(events: readonly LedgerEvent[]): void {
    const { outbox } = this.#options.state();
    this.take(
      events.flatMap((event) =>
        event.type === 'notification_due' ? (outbox.get(event.deliveryId) ?? []) : [],
      ),
    );
  }

  /** Begins to send these. Returns at once. */
  take(pending: Iterable<PendingNotification>): void {
    const { signal, log } = this.#options;
    for (const one of pending) {
      const { deliveryId } = one;
      if (signal.aborted || this.#underway.has(deliveryId)) continue;
      this.#underway.add(deliveryId);
      void this.#deliver(one)
        .catch((error: unknown) => log.error({ err: error, deliveryId }, 'a message was not sent'))
        .finally(() => this.#underway.delete(deliveryId));
    }
  }

  async #deliver(pending: PendingNotification): Promise<void> {
    const { signal, random = Math.random, log, onNotified } = this.#options;
    const { deliveryId } = pending;
    const host = webhookHost(pending.webhook);
    const begin = this.#clock.monotonicMs();
    for (let attempts = 1; ; attempts += 1) {
      const answer = await this.#turnstile.pass(() => this.#send(pending));
      if (isAborted(signal)) return;
      if (answer.ok) {
        log.info({ deliveryId, host, attempts }, 'a webhook was told');
        onNotified('delivered');
        this.#settle(pending, 'delivered', attempts, answer.message);
        return;
      }
      onNotified('failed');
      const ageMs = Math.max(this.#options.now() - pending.at, this.#clock.monotonicMs() - begin);
      if (attempts >= FEWEST_ATTEMPTS && ageMs >= GIVE_UP_AFTER_MS) {
        log.warn({ deliveryId, host, attempts }, `a webhook is given up: ${answer.message}`);
        onNotified('given_up');
        this.#settle(pending, 'given_up', attempts, answer.message);
        return;
      }
      log.warn({ deliveryId, host, attempts }, `a webhook was not told, trying again: ${answer.message}`);
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts - 1, 20));
      await this.#clock.sleep(longest * (0.5 + random() / 2), { signal, ref: false });
      if (isAborted(signal)) return;
    }
  }

  async #send({ webhook, ...notification }: PendingNotification): Promise<Answer> {
    const { signal, post = postJson } = this.#options;
    if (signal.aborted) return { ok: false, message: 'the coordinator no longer leads' };
    const { deliveryId } = notification;
    return post(webhook, { deliveryId, body: JSON.stringify(bodyOf(notification)), signal });
  }

  #settle(
    { deliveryId }: PendingNotification,
    outcome: 'delivered' | 'given_up',
    attempts: number,
    message: string,
  ): void {
    const at = this.#options.now();
    this.#options.offer({ type: 'notification_settled', deliveryId, outcome, attempts, message, at });
  }
}
