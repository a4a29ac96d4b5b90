/**
 * What programs use of Wattsweep: submit sweeps, watch them, wait for them, read their reports. `coordinator.ts` is the
 * gRPC API itself (the command line uses it), `leader.ts` finds who leads. Here is no logic that the API lacks.
 */
import {
  type Sweep,
  SweepControl,
  SweepState,
  type Trial,
  type WatchSweepResponse,
} from '../proto/gen/wattsweep/v1/coordinator.js';
import { WattsweepError } from '../proto/errors.js';
import { Coordinator } from './coordinator.js';
import { streamOutput, type OutputChunk } from './output.js';

export { SweepState, TrialState } from '../proto/gen/wattsweep/v1/coordinator.js';
export type { Sweep, Trial } from '../proto/gen/wattsweep/v1/coordinator.js';
export type { OutputChunk } from './output.js';
export { WattsweepError, type ErrorCode } from '../proto/errors.js';

export interface ConnectOptions {
  /** `host:port` of the coordinator, several with commas. @default '127.0.0.1:7722' */
  readonly server?: string;
  /** Join token. @default none */
  readonly token?: string;
}

export interface SubmitOptions {
  /** `KEY=VALUE` each, as `--set`. @default [] */
  readonly overrides?: readonly string[];
  /** @default [] */
  readonly tags?: readonly string[];
  /** First one epoch of the extreme points. @default false */
  readonly smoke?: boolean;
  /** Makes a retried submission harmless. @default a new one */
  readonly requestId?: string;
}

/** What a watcher of a sweep is told. At first everything as it stands, then what changes. */
export type SweepEvent =
  | { readonly type: 'sweep'; readonly sweep: Sweep }
  | { readonly type: 'trial'; readonly trial: Trial }
  /** One sentence for people. */
  | { readonly type: 'message'; readonly message: string };

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** A coordinator that is away is waited for so long: training goes on meanwhile. @default 120000 */
  readonly awayMs?: number;
}

export interface OutputOptions {
  /** 0 for the newest. @default 0 */
  readonly attempt?: number;
  /** @default false */
  readonly follow?: boolean;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

export interface SweepResult {
  readonly sweep: Sweep;
  readonly trials: readonly Trial[];
}

const AWAY_MS = 120_000;
const PAUSE_MS = 500;

/** A connection to a coordinator. Methods throw {@link WattsweepError}; tell errors by their `code`. */
export class WattsweepClient {
  readonly #coordinator: Coordinator;

  /** Connects with the first call. */
  constructor({ server = '127.0.0.1:7722', token }: ConnectOptions = {}) {
    this.#coordinator = new Coordinator({ address: server, token: token ?? null });
  }

  /**
   * Starts a sweep.
   *
   * @param sweep as text of a sweep file, or as the object that such a text stands for
   * @throws SPEC_* with the place, NOT_ENOUGH_SLOTS, RECIPE_NOT_OFFERED, BUDGET_WITHOUT_METER, COORDINATOR_UNREACHABLE
   */
  async submit(
    sweep: string | Readonly<Record<string, unknown>>,
    { overrides = [], tags = [], smoke = false, requestId = crypto.randomUUID() }: SubmitOptions = {},
  ): Promise<{ readonly sweepId: string; readonly warnings: readonly string[] }> {
    const yaml = typeof sweep === 'string' ? sweep : JSON.stringify(sweep);
    return this.#coordinator.submit({ yaml, overrides, tags, smoke, requestId });
  }

  /** Newest first, archived ones left out. */
  async list(): Promise<readonly Sweep[]> {
    return (await this.#coordinator.list({ archived: false, tags: [] })).sweeps;
  }

  /** @throws SWEEP_NOT_FOUND */
  async get(sweepId: string): Promise<SweepResult> {
    const { sweep, trials } = await this.#coordinator.get(sweepId);
    if (sweep === undefined) throw new WattsweepError('INTERNAL', 'the coordinator answered without a sweep');
    return { sweep, trials };
  }

  /** Ends with the sweep. After a coordinator's restart everything is told anew. @throws SWEEP_NOT_FOUND */
  async *watch(sweepId: string, options: WatchOptions = {}): AsyncGenerator<SweepEvent, void, undefined> {
    const { signal, awayMs = AWAY_MS } = options;
    let awaySince: number | null = null;
    for (let isOver = false; !isOver && signal?.aborted !== true;) {
      try {
        for await (const update of this.#coordinator.watch(sweepId, signal)) {
          awaySince = null;
          if (update.sweep !== undefined) isOver = hasEnded(update.sweep);
          yield* eventsOf(update);
        }
      } catch (error) {
        if (!isAway(error)) throw error;
        awaySince ??= performance.now();
        if (performance.now() - awaySince > awayMs) throw error;
      }
      if (!isOver) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** The sweep once it has ended, with its trials; as it stands when `signal` comes first. */
  async wait(sweepId: string, options: WatchOptions = {}): Promise<SweepResult> {
    const events = this.watch(sweepId, options);
    while (!(await events.next()).done);
    return this.get(sweepId);
  }

  /** The facts of the report, as `wattsweep report --json` prints them. */
  report(sweepId: string): Promise<unknown> {
    return this.#coordinator.report(sweepId);
  }

  /**
   * What a trial's program prints, one attempt after the other; with `follow` until the trial has ended.
   *
   * @throws SWEEP_NOT_FOUND, TRIAL_NOT_FOUND, OUTPUT_GONE; without `follow` TRAINER_UNREACHABLE
   */
  output(
    sweepId: string,
    trialId: string,
    { attempt = 0, follow = false, signal }: OutputOptions = {},
  ): AsyncGenerator<OutputChunk, void, undefined> {
    const when = signal === undefined ? {} : { signal };
    return streamOutput(this.#coordinator, { sweepId, trialId, attempt, follow, ...when });
  }

  /** Ends the sweep; running trials are cancelled. @throws SWEEP_ENDED */
  async stop(sweepId: string): Promise<void> {
    await this.#coordinator.control(sweepId, SweepControl.STOP);
  }

  /** Running trials checkpoint and leave their slots. @throws SWEEP_ENDED */
  async pause(sweepId: string): Promise<void> {
    await this.#coordinator.control(sweepId, SweepControl.PAUSE);
  }

  /** @throws SWEEP_ENDED */
  async resume(sweepId: string): Promise<void> {
    await this.#coordinator.control(sweepId, SweepControl.RESUME);
  }

  close(): void {
    this.#coordinator.close();
  }
}

const hasEnded = ({ state }: Sweep): boolean =>
  state === SweepState.COMPLETED || state === SweepState.STOPPED;

const isAway = (error: unknown): boolean =>
  error instanceof WattsweepError &&
  (error.code === 'COORDINATOR_UNREACHABLE' || error.code === 'NOT_LEADER');

function* eventsOf({ sweep, trials, messages }: WatchSweepResponse): Generator<SweepEvent, void, undefined> {
  if (sweep !== undefined) yield { type: 'sweep', sweep };
  for (const trial of trials) yield { type: 'trial', trial };
  for (const message of messages) yield { type: 'message', message };
}
