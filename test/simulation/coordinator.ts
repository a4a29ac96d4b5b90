/** One coordinator of a run: the real turns of leadership on virtual time, with connections that can be cut. */
import { pino, type Logger } from 'pino';
import { StaleTermError, WattsweepError } from '../../proto/errors.js';
import { LEADER_BUCKET, TRAINERS_BUCKET } from '../../proto/subjects.js';
import type { Answer, TrainerCommands } from '../../services/coordinator/fleet/index.js';
import type { Term } from '../../services/coordinator/leadership/term.js';
import { leadInTurns } from '../../services/coordinator/leadership/turns.js';
import { JetStreamLog, schemaOf } from '../../services/coordinator/ledger/index.js';
import { SimLink } from './link.js';
import type { SimNats } from './nats.js';
import { randomOf, type Random } from './random.js';
import { Process } from './scheduler.js';
import type { SimTrainer } from './trainer.js';

export const LEASE_TTL_MS = 2_000;
export const TRAINER_TTL_MS = 3_000;
export const LOST_AFTER_MS = 25_000;
const SETTINGS = { retries: { crashed: 2, lost: 5, preempted: 10 } };
const EPOCH_MS = 1_700_000_000_000;
const SCHEMA = schemaOf('simulated');
const DEADLINE_MS = 10_000;

export interface CoordinatorSetup {
  readonly id: string;
  readonly seed: number;
  readonly nats: SimNats;
  readonly trainers: readonly SimTrainer[];
  /** A word of the log at error level, or a fault that ended the coordinator: none may come. */
  readonly onFault: (text: string) => void;
}

const idle = (): void => undefined;

export class SimCoordinator {
  #process: Process | null = null;
  #instance = 0;
  #term: Term | null = null;
  #link: SimLink | null = null;
  /** How far its clock is off, milliseconds. */
  clockOffsetMs = 0;
  cutOff = false;
  /** Restores under way: it must not run meanwhile. */
  restores = 0;
  /** Trainers that it cannot call. */
  readonly unreachable = new Set<SimTrainer>();

  constructor(private readonly setup: CoordinatorSetup) {}

  /** The term under way, if it leads. */
  get term(): Term | null {
    return this.#term;
  }

  get link(): SimLink | null {
    return this.#link;
  }

  get process(): Process | null {
    return this.#process;
  }

  now(): number {
    return EPOCH_MS + this.setup.nats.scheduler.now + this.clockOffsetMs;
  }

  start(): void {
    if (this.#process !== null || this.restores > 0) return;
    const { id, seed, nats, onFault } = this.setup;
    this.#instance += 1;
    const name = `${id}.${this.#instance}`;
    const random = randomOf(seed, name);
    const process = (this.#process = new Process(nats.scheduler));
    const link = (this.#link = new SimLink(nats, process, randomOf(seed, `${name} link`)));
    link.cut(this.cutOff);
    let ids = 0;
    const { clock } = process;
    const running = leadInTurns({
      leases: link.bucket(LEADER_BUCKET),
      leaseTtlMs: LEASE_TTL_MS,
      grpcAddress: id,
      term: {
        link,
        ledger: new JetStreamLog(link, clock),
        keptReports: { ms: 60_000, bytes: Infinity },
        snapshots: { store: nats.snapshots, schema: SCHEMA, everyEvents: 40, tell: idle },
        trainers: link.bucket(TRAINERS_BUCKET),
        coordinatorId: id,
        settings: SETTINGS,
        trainerTtlMs: TRAINER_TTL_MS,
        lostAfterMs: LOST_AFTER_MS,
        now: () => this.now(),
        newId: () => `${name}-${(ids += 1)}`,
        observer: { consumed: idle, commanded: idle, notified: idle, decided: idle, appended: idle },
        log: errorsTo((text) => onFault(`${name}: ${text}`)),
        clock,
        random: () => random.next(),
      },
      newCommands: () => new SimCommands(process, random, this.setup.trainers, this.unreachable),
      onLead: (term) => (this.#term = term),
      onFollow: () => (this.#term = null),
      signal: new AbortController().signal,
    });
    running.catch((error: unknown) => {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
      onFault(`${name} ended: ${String(error)}${cause}`);
    });
  }

  kill(): void {
    this.#process?.kill();
    if (this.#link !== null) this.setup.nats.links.delete(this.#link);
    this.#process = null;
    this.#link = null;
    this.#term = null;
  }
}

function errorsTo(tell: (text: string) => void): Logger {
  return pino({ level: 'error', base: null, timestamp: false }, { write: tell });
}

class SimCommands implements TrainerCommands {
  #closed = false;

  constructor(
    private readonly process: Process,
    private readonly random: Random,
    private readonly trainers: readonly SimTrainer[],
    private readonly unreachable: ReadonlySet<SimTrainer>,
  ) {}

  startAttempt: TrainerCommands['startAttempt'] = (address, request) =>
    this.#call(address, (trainer) => trainer.start(request));
  stopAttempt: TrainerCommands['stopAttempt'] = (address, request) =>
    this.#call(address, (trainer) => trainer.stop(request));
  listAttempts: TrainerCommands['listAttempts'] = (address, { fence }) =>
    this.#call(address, (trainer) => trainer.list(fence));
  keepOnly = idle;

  close(): void {
    this.#closed = true;
  }

  #call<T>(address: string, perform: (trainer: SimTrainer) => T): Promise<Answer<T>> {
    const { process, random } = this;
    return new Promise((resolve) => {
      const unreachable = { kind: 'unreachable', message: 'no answer' } as const;
      process.after(DEADLINE_MS, () => resolve(unreachable));
      const trainer = this.trainers.find((candidate) => candidate.address === address);
      const arrives = (): boolean => trainer?.serving === true && !this.unreachable.has(trainer);
      process.scheduler.after(random.between(0.2, 8), () => {
        if (trainer === undefined || !arrives()) {
          // A port on which nobody listens says so at once; a cut network does not.
          if (trainer?.serving !== true) process.after(1, () => resolve(unreachable));
          return;
        }
        const answer = answerOf(() => perform(trainer));
        process.after(random.between(0.2, 8), () => {
          if (arrives() && !this.#closed) resolve(answer);
        });
      });
    });
  }
}

function answerOf<T>(perform: () => T): Answer<T> {
  try {
    return { kind: 'ok', response: perform() };
  } catch (error) {
    if (!(error instanceof WattsweepError)) throw error;
    const { code, message } = error;
    const known = error instanceof StaleTermError ? { knownTerm: error.knownTerm } : {};
    return { kind: 'refused', code, retryable: error.entry.retryable, message, ...known };
  }
}
