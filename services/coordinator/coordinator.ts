/**
 * Puts the rooms together and runs their life cycle: listen, reach NATS, then follow and lead in turns until closed.
 * Everything that must survive is in the ledger, so the process may be killed at any moment.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { destination, pino, type Logger } from 'pino';
import { NotLeaderError, WattsweepError } from '../../proto/errors.js';
import { LEADER_BUCKET, TRAINERS_BUCKET } from '../../proto/subjects.js';
import { projectRoot } from '../../setup/locate.mjs';
import {
  startApi,
  startHttp,
  type ApiServer,
  type HttpServer,
  type Leader,
  type Readiness,
} from './api/index.js';
import { isAborted } from './clock.js';
import { DEFAULT_RETRIES } from './core/defaults.js';
import { initialState } from './core/index.js';
import { TrainerClients } from './fleet/index.js';
import { Lease } from './leadership/lease.js';
import type { Term } from './leadership/term.js';
import { leadInTurns } from './leadership/turns.js';
import {
  JetStreamLog,
  LedgerBeginning,
  ObjectStoreSnapshots,
  refuseNewerLedger,
  schemaOf,
  type SnapshotWord,
} from './ledger/index.js';
import { ModuleFolder } from './modules/index.js';
import {
  ensureStreams,
  NatsLink,
  openBucket,
  StoredCheckpoints,
  StoredCode,
  type Bucket,
  type NatsLinkOptions,
} from './nats/index.js';
import {
  advertisedAddress,
  completeOptions,
  type CompleteOptions,
  type CoordinatorOptions,
} from './options.js';
import { createTelemetry, type Telemetry } from './telemetry/index.js';

export interface RunningCoordinator {
  /** `host:port` of the gRPC API. */
  readonly grpcAddress: string;
  /** `host:port` of /metrics, /healthz and /readyz. */
  readonly httpAddress: string;
  /** Resolves once closed; rejects when the ledger cannot be read, and the coordinator has closed for that. */
  readonly done: Promise<void>;
  /** Ends in order and gives the lease back. Harmless when repeated. */
  close(): Promise<void>;
}

const NATS_RETRY_MS = 500;
const NATS_COMPLAIN_EVERY_MS = 5_000;
const API_GRACE_MS = 1_000;

/**
 * Starts a coordinator. Resolves once NATS is reached and configured; until then it listens, tries, and says at /readyz
 * that it is not ready.
 * @throws USAGE, PORT_IN_USE, NATS_TOO_OLD, NATS_CONFIG, UNAUTHENTICATED, LEDGER_VERSION, LEDGER_LOST; NATS_UNREACHABLE when the
 * signal aborts
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const coordinator = new Coordinator(completeOptions(options));
  const giveUp = (): void => void coordinator.close();
  options.signal?.addEventListener('abort', giveUp, { once: true });
  try {
    return await coordinator.start();
  } catch (error) {
    await coordinator.close();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', giveUp);
  }
}

type Role = 'starting' | 'following' | 'leading';

class Coordinator {
  readonly #options: CompleteOptions;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  #role: Role = 'starting';
  #term: Term | null = null;
  #link: NatsLink | null = null;
  #leases: Bucket | null = null;
  #telemetry: Telemetry | null = null;
  #modules: ModuleFolder | null = null;
  #api: ApiServer | null = null;
  #http: HttpServer | null = null;
  /** For what people ask of boxes; commands have their own with each term. */
  readonly #boxes: TrainerClients;
  #starting: Promise<unknown> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(options: CompleteOptions) {
    this.#options = options;
    this.#boxes = new TrainerClients(options.token);
    this.#log = pino(
      {
        level: options.logLevel,
        base: { service: 'coordinator', id: options.coordinatorId },
        // An input that was left out is logged; a webhook's URL may be a secret.
        redact: ['input.spec.notify.webhook', 'input.source'],
      },
      destination({ fd: 2, sync: true }),
    );
  }

  start(): Promise<RunningCoordinator> {
    return (this.#starting = this.#start());
  }

  async #start(): Promise<RunningCoordinator> {
    const { listenHost: host, grpcPort, httpPort, token } = this.#options;
    const onFault = (error: unknown, path: string): void =>
      this.#log.error({ err: error, path }, 'a call failed');
    const modules = this.#options.modules === null ? null : new ModuleFolder(this.#options.modules);
    this.#modules = modules;
    this.#http = await startHttp({
      host,
      port: httpPort,
      onFault,
      readiness: () => this.#readiness(),
      metrics: async () => {
        const telemetry = this.#telemetry;
        return telemetry === null
          ? null
          : { text: await telemetry.metricsText(), contentType: telemetry.contentType };
      },
    });
    this.#api = await startApi({
      host,
      port: grpcPort,
      token,
      now: Date.now,
      onFault,
      leader: () => this.#leader(),
      modules,
      boxes: this.#boxes,
      code: () => (this.#link === null ? null : new StoredCode(this.#link)),
    });
    const { address: grpcAddress } = this.#api;
    const { address: httpAddress } = this.#http;
    this.#log.info({ grpcAddress, httpAddress }, 'listening');

    const link = (this.#link = await this.#untilNats((options) => NatsLink.connect(options)));
    await this.#untilNats(() => refuseNewerLedger(link));
    const { newLedger, leaseTtlMs } = this.#options;
    const beginning = await this.#untilNats(() => LedgerBeginning.look(link, newLedger, leaseTtlMs));
    if (newLedger && beginning.isThere)
      this.#log.warn('there is a ledger: --new-ledger does nothing, and should not stay where it is');
    await this.#untilNats(() => ensureStreams(link, this.#options));
    this.#leases = await this.#untilNats(() => openBucket(link, LEADER_BUCKET));
    const trainers = await this.#untilNats(() => openBucket(link, TRAINERS_BUCKET));
    this.#telemetry = await createTelemetry({
      link,
      getState: () => this.#term?.state ?? NO_STATE,
      isLeader: () => this.#term !== null,
      now: Date.now,
      version: packageVersion(),
    });
    this.#role = 'following';
    const advertised = advertisedAddress(this.#options, grpcAddress);
    this.#running = this.#followAndLead(link, beginning, this.#leases, trainers, this.#telemetry, advertised);
    const done = this.#running.then(
      () => this.close(),
      async (error: unknown) => {
        this.#log.fatal({ err: error }, 'the coordinator cannot go on');
        await this.close();
        throw error;
      },
    );
    // Whoever does not look at `done` is told by the log.
    done.catch(() => undefined);
    return { grpcAddress, httpAddress, done, close: () => this.close() };
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    // What a start under way still opens must be closed, too.
    await this.#starting.catch(() => undefined);
    await this.#running.catch(() => undefined);
    await this.#api?.close(API_GRACE_MS);
    this.#boxes.close();
    await this.#telemetry?.close();
    await this.#http?.close();
    await this.#link?.close();
    this.#log.info('closed');
  }

  /** Repeats what needs NATS until it answers: a server, or a cluster's majority, may come later or go meanwhile. */
  async #untilNats<T>(need: (options: NatsLinkOptions) => Promise<T>): Promise<T> {
    const { natsUrl: url, token, coordinatorId } = this.#options;
    let complainedAt = -Infinity;
    while (!isAborted(this.#closing.signal)) {
      try {
        return await need({ url, token, name: `wattsweep coordinator ${coordinatorId}` });
      } catch (error) {
        if (!(error instanceof WattsweepError) || error.code !== 'NATS_UNREACHABLE') throw error;
        if (performance.now() - complainedAt >= NATS_COMPLAIN_EVERY_MS) {
          complainedAt = performance.now();
          this.#log.warn({ url }, `${error.message}; trying again`);
        }
        await sleep(NATS_RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
    throw new WattsweepError('NATS_UNREACHABLE', `told to end before NATS at ${url} was ready`);
  }

  /** @throws LEDGER_UNREADABLE, LEDGER_VERSION, LEDGER_LOST, and faults of our own */
  #followAndLead(
    link: NatsLink,
    beginning: LedgerBeginning,
    leases: Bucket,
    trainers: Bucket,
    telemetry: Telemetry,
    grpcAddress: string,
  ): Promise<void> {
    const { coordinatorId, leaseTtlMs, token, trainerTtlMs, lostAfterMs } = this.#options;
    const { snapshotEvents, quarantineAfter } = this.#options;
    return leadInTurns({
      leases,
      leaseTtlMs,
      grpcAddress,
      term: {
        link,
        ledger: new JetStreamLog(link),
        snapshots: {
          store: new ObjectStoreSnapshots(link),
          schema: schemaOf(packageVersion()),
          everyEvents: snapshotEvents,
          tell: (word) => this.#tellSnapshot(word),
        },
        trainers,
        storedCheckpoints: {
          shelf: new StoredCheckpoints(link),
          everyMs: this.#options.forgetCheckpointsMs,
        },
        storedCode: new StoredCode(link),
        keptReports: { ms: this.#options.keptReportsMs, bytes: this.#options.keptReportsBytes },
        coordinatorId,
        beginLedger: () => beginning.begin(),
        settings: { retries: DEFAULT_RETRIES, quarantineAfter },
        trainerTtlMs,
        lostAfterMs,
        now: Date.now,
        newId: randomUUID,
        observer: telemetry.coordinator,
        log: this.#log,
      },
      prepare: () => this.#modules?.provideAll(),
      newCommands: () => new TrainerClients(token),
      onLead: (term, tookMs) => this.#lead(term, tookMs),
      onFollow: () => this.#follow(),
      signal: this.#closing.signal,
    });
  }

  #tellSnapshot(word: SnapshotWord): void {
    const { what, ...facts } = word;
    if (what === 'taken') this.#log.info(facts, 'a snapshot of the ledger was taken');
    else if (word.what === 'skipped')
      this.#log.warn(facts, `a snapshot of the ledger is not used: ${word.why}`);
    else
      this.#log.warn({ err: word.error }, 'a snapshot of the ledger could not be taken; the ledger is whole');
  }

  #lead(term: Term, tookMs: number): void {
    this.#term = term;
    this.#role = 'leading';
    this.#api?.setServing(true);
    const { ledgerId, term: number, sweeps } = term.state;
    this.#log.info({ ledgerId, term: number, sweeps: sweeps.size, tookMs: Math.round(tookMs) }, 'leading');
  }

  #follow(): void {
    if (this.#role === 'leading') this.#log.info('following');
    this.#term = null;
    this.#role = 'following';
    this.#api?.setServing(false);
  }

  async #leader(): Promise<Leader> {
    if (this.#term !== null) return this.#term;
    const holder = this.#leases === null ? null : await Lease.holder(this.#leases);
    const other = holder === null || holder.coordinatorId === this.#options.coordinatorId ? null : holder;
    throw new NotLeaderError(
      other === null ? 'no coordinator leads yet' : `${other.coordinatorId} at ${other.grpcAddress} leads`,
      other?.grpcAddress ?? null,
    );
  }

  #readiness(): Readiness {
    const nats = this.#link?.connected ?? false;
    return {
      ready: nats && this.#role !== 'starting',
      nats,
      role: this.#role,
      term: this.#term?.state.term ?? 0,
    };
  }
}

const NO_STATE = initialState();

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8'));
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return typeof version === 'string' ? version : '';
}
