/** How an operator sets a coordinator up: checked once, here. */
import { networkInterfaces } from 'node:os';
import { WattsweepError } from '../../proto/errors.js';
import { KEPT_REPORTS } from './fleet/index.js';
import { QUARANTINE_AFTER } from './core/defaults.js';

export interface CoordinatorOptions {
  /** `nats://host:port`, several with commas. */
  readonly natsUrl: string;
  /** Join token on NATS and gRPC; null asks for none, and is then refused beyond loopback. */
  readonly token: string | null;
  /** Not needed: everything that must survive is in NATS. */
  readonly dataDir?: string;
  /** @default '127.0.0.1' */
  readonly listenHost?: string;
  /** Host under which clients reach this coordinator. @default listenHost, or the first outer address for 0.0.0.0 */
  readonly advertiseHost?: string | null;
  /** 0 for any free one. */
  readonly grpcPort: number;
  /** 0 for any free one. */
  readonly httpPort: number;
  /** Differs among coordinators of one ledger. */
  readonly coordinatorId: string;
  /** A leader that does not renew its lease for so long is replaced. 300 ms or more. */
  readonly leaseTtlMs: number;
  /** A trainer that does not renew its record for so long is suspect. 300 ms or more. */
  readonly trainerTtlMs: number;
  /** A trainer that is away for so long is lost; at least the TTL. */
  readonly lostAfterMs: number;
  /** As pino's: trace, debug, info, warn, error, silent. */
  readonly logLevel: string;
  /** Copies of each stream: 1, or 3 on a cluster of three. @default 1 */
  readonly replicas?: number;
  /** A snapshot of the ledger's fold is due when so many events came after the last one. @default 50000 */
  readonly snapshotEvents?: number;
  /** Folder of users' own search methods and stopping rules; null: sweeps that name one are refused. @default null */
  readonly modules?: string | null;
  /** Reports are kept so long after the ledger took them, for a ledger that is restored. @default 86400000 */
  readonly keptReportsMs?: number;
  /** Room for them, bytes. @default 268435456 */
  readonly keptReportsBytes?: number;
  /** How often NATS is looked through for checkpoints that nobody needs any more. @default 60000 */
  readonly forgetCheckpointsMs?: number;
  /** Failures in a row on a box until it is quarantined, up to 100; 0 for never. @default 3 */
  readonly quarantineAfter?: number;
  /** Begins with an empty ledger though NATS has had another. @default false */
  readonly newLedger?: boolean;
  /** Ends a start that still waits for NATS. */
  readonly signal?: AbortSignal;
}

export type CompleteOptions = Required<Omit<CoordinatorOptions, 'dataDir' | 'signal'>>;

const SHORTEST_TTL_MS = 300;
/** More failures are not remembered. */
const MAX_QUARANTINE_AFTER = 100;
const LOOPBACK = /^(localhost|::1|127(\.\d{1,3}){3})$/;

/** @throws USAGE */
export function completeOptions(options: CoordinatorOptions): CompleteOptions {
  const { listenHost = '127.0.0.1', advertiseHost = null, replicas = 1, modules = null, ...others } = options;
  const { dataDir: _dataDir, signal: _signal, snapshotEvents = 50_000, ...some } = others;
  const { keptReportsMs = KEPT_REPORTS.ms, keptReportsBytes = KEPT_REPORTS.bytes, ...more } = some;
  const {
    quarantineAfter = QUARANTINE_AFTER,
    forgetCheckpointsMs = 60_000,
    newLedger = false,
    ...rest
  } = more;
  const complete = {
    listenHost,
    advertiseHost,
    replicas,
    modules,
    snapshotEvents,
    keptReportsMs,
    keptReportsBytes,
    quarantineAfter,
    forgetCheckpointsMs,
    newLedger,
    ...rest,
  };
  const { token, coordinatorId, leaseTtlMs, trainerTtlMs, lostAfterMs } = complete;
  if (!LOOPBACK.test(listenHost) && (token === null || token === '')) {
    throw new WattsweepError('USAGE', `listening on ${listenHost} needs a join token`, {
      advice: 'Give --token or set WATTSWEEP_TOKEN; every box and client needs the same one.',
    });
  }
  if (coordinatorId === '') throw new WattsweepError('USAGE', 'a coordinator needs a name');
  for (const [name, value] of Object.entries({ leaseTtlMs, trainerTtlMs })) {
    if (!Number.isSafeInteger(value) || value < SHORTEST_TTL_MS) {
      throw new WattsweepError('USAGE', `${name} must be ${SHORTEST_TTL_MS} or more, not ${value}`);
    }
  }
  if (!(lostAfterMs >= trainerTtlMs)) {
    throw new WattsweepError(
      'USAGE',
      `a trainer cannot be lost (${lostAfterMs} ms) before it is silent (${trainerTtlMs} ms)`,
    );
  }
  if (![1, 3, 5].includes(replicas))
    throw new WattsweepError('USAGE', `replicas must be 1, 3 or 5, not ${replicas}`);
  if (!Number.isSafeInteger(snapshotEvents) || snapshotEvents < 1)
    throw new WattsweepError(
      'USAGE',
      `snapshotEvents must be a whole number from 1 on, not ${snapshotEvents}`,
    );
  for (const [name, value] of Object.entries({ keptReportsMs, keptReportsBytes }))
    if (!(value >= 0)) throw new WattsweepError('USAGE', `${name} must be 0 or more, not ${value}`);
  if (!Number.isSafeInteger(quarantineAfter) || quarantineAfter < 0 || quarantineAfter > MAX_QUARANTINE_AFTER)
    throw new WattsweepError(
      'USAGE',
      `quarantineAfter must be a whole number up to ${MAX_QUARANTINE_AFTER}, not ${quarantineAfter}`,
    );
  return complete;
}

/** Where a client that was told so reaches this coordinator: an address of all interfaces leads nowhere. */
export function advertisedAddress(options: CompleteOptions, listening: string): string {
  const port = listening.slice(listening.lastIndexOf(':') + 1);
  const { advertiseHost, listenHost } = options;
  const host =
    advertiseHost ?? (listenHost === '0.0.0.0' || listenHost === '::' ? outerAddress() : listenHost);
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const outerAddress = (): string =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
