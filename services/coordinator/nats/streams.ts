/**
 * Streams and buckets, with every setting that correctness rests on. Each is created, read back and compared: servers
 * drop settings that they do not know, and a stream of somebody else may have the name.
 */
import {
  DiscardPolicy,
  nanos,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
} from 'nats';
import { WattsweepError } from '../../../proto/errors.js';
import {
  CHECKPOINTS_BUCKET,
  CODE_BUCKET,
  LEADER_BUCKET,
  LEDGER_STREAM,
  LEDGER_SUBJECT,
  REPORTS_STREAM,
  REPORTS_SUBJECTS,
  SNAPSHOTS_BUCKET,
  TELEMETRY_STREAM,
  TELEMETRY_SUBJECTS,
  TRAINERS_BUCKET,
} from '../../../proto/subjects.js';
import { natsErrorCode, unreachable } from './failure.js';
import type { NatsLink } from './link.js';

export interface StreamOptions {
  readonly leaseTtlMs: number;
  readonly trainerTtlMs: number;
  /** Copies of each stream: 1, or 3 on a cluster of three. */
  readonly replicas: number;
}

/** Settings of the server that the client's types do not know yet. */
type Config = Partial<StreamConfig> & { readonly name: string; readonly persist_mode?: 'async' };

const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const MIB = 1024 * 1024;
const DUPLICATE_WINDOW_MS = 120 * SECOND_MS;

const common = (options: StreamOptions) => ({
  retention: RetentionPolicy.Limits,
  storage: StorageType.File,
  num_replicas: options.replicas,
  allow_direct: true,
});

const unlimited = { max_age: 0, max_bytes: -1, max_msgs: -1, max_msgs_per_subject: -1 };

const bucket = (name: string, ttlMs: number, options: StreamOptions): Config => ({
  ...common(options),
  name: `KV_${name}`,
  subjects: [`$KV.${name}.>`],
  max_msgs_per_subject: 1,
  max_age: nanos(ttlMs),
  duplicate_window: nanos(Math.min(ttlMs, DUPLICATE_WINDOW_MS)),
  discard: DiscardPolicy.New,
  allow_rollup_hdrs: true,
  // Every write of a bucket is compared with the last one read: reads come from the leader of the stream.
  allow_direct: false,
});

const objectStore = (name: string, options: StreamOptions): Config => ({
  ...common(options),
  ...unlimited,
  name: `OBJ_${name}`,
  subjects: [`$O.${name}.C.>`, `$O.${name}.M.>`],
  discard: DiscardPolicy.New,
  allow_rollup_hdrs: true,
});

/** Everything that the coordinator needs on the server. */
export const wantedStreams = (options: StreamOptions): readonly Config[] => [
  {
    ...common(options),
    ...unlimited,
    name: LEDGER_STREAM,
    subjects: [LEDGER_SUBJECT],
    discard: DiscardPolicy.New,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    deny_delete: true,
    deny_purge: true,
    allow_rollup_hdrs: false,
  },
  {
    ...common(options),
    ...unlimited,
    name: REPORTS_STREAM,
    subjects: [REPORTS_SUBJECTS],
    discard: DiscardPolicy.New,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  },
  {
    ...common(options),
    name: TELEMETRY_STREAM,
    subjects: [TELEMETRY_SUBJECTS],
    max_age: nanos(6 * HOUR_MS),
    max_bytes: 512 * MIB,
    discard: DiscardPolicy.Old,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    // Watts of the last seconds may die with the power; asynchronous writes cost a sixth. Not to be had with replicas.
    ...(options.replicas === 1 ? { persist_mode: 'async' as const } : {}),
  },
  bucket(TRAINERS_BUCKET, options.trainerTtlMs, options),
  bucket(LEADER_BUCKET, options.leaseTtlMs, options),
  objectStore(CHECKPOINTS_BUCKET, options),
  objectStore(CODE_BUCKET, options),
  objectStore(SNAPSHOTS_BUCKET, options),
];

/** Settings that say whose stream it is: never changed on a stream that exists. */
const IDENTITY = ['subjects', 'retention', 'storage'] as const;

/**
 * Creates what is missing, updates limits that have changed, and reads everything back.
 * @throws NATS_CONFIG naming stream and setting; NATS_UNREACHABLE
 */
export async function ensureStreams(link: NatsLink, options: StreamOptions): Promise<void> {
  for (const wanted of wantedStreams(options)) await ensureStream(link.manager, wanted, link.serverVersion);
}

async function ensureStream(manager: JetStreamManager, wanted: Config, version: string): Promise<void> {
  try {
    const found = await readConfig(manager, wanted.name);
    if (found === null) {
      await manager.streams.add(wanted).catch((error: unknown) => {
        // Another coordinator was quicker: its work is compared below.
        if (natsErrorCode(error) !== 'name_in_use') throw error;
      });
    } else {
      refuseMismatch(wanted, found, IDENTITY, version);
      if (mismatch(wanted, found) !== null) {
        await manager.streams.update(wanted.name, {
          ...found,
          ...wanted,
          num_replicas: replicasOf(wanted, found),
        });
      }
    }
    const now = await readConfig(manager, wanted.name);
    refuseMismatch(wanted, now ?? { name: wanted.name }, null, version);
  } catch (error) {
    throw unreachable(`the stream ${wanted.name} could not be created`, error);
  }
}

async function readConfig(manager: JetStreamManager, name: string): Promise<Config | null> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (natsErrorCode(error) === 'not_found') return null;
    throw error;
  }
}

/** A stream with more copies than asked for stays as it is. */
const replicasOf = (wanted: Config, found: Config): number =>
  Math.max(wanted.num_replicas ?? 1, found.num_replicas ?? 1);

function mismatch(
  wanted: Config,
  found: Config,
  only: readonly (keyof Config)[] | null = null,
): keyof Config | null {
  for (const key of only ?? (Object.keys(wanted) as (keyof Config)[])) {
    if (key === 'num_replicas' && replicasOf(wanted, found) === found.num_replicas) continue;
    if (key === 'persist_mode' && (found.num_replicas ?? 1) > 1) continue;
    // The server leaves out what is false, zero or empty.
    const absent = wanted[key] === false || wanted[key] === 0;
    if (found[key] === undefined && absent) continue;
    if (JSON.stringify(found[key]) !== JSON.stringify(wanted[key])) return key;
  }
  return null;
}

/** Exported for the test of a server that drops a setting. @throws NATS_CONFIG */
export function refuseMismatch(
  wanted: Config,
  found: Config,
  only: readonly (keyof Config)[] | null,
  version: string,
): void {
  const key = mismatch(wanted, found, only);
  if (key === null) return;
  throw new WattsweepError(
    'NATS_CONFIG',
    `the stream ${wanted.name} has ${key} = ${shown(found[key])} instead of ` +
      `${shown(wanted[key])} (nats-server ${version}; 2.12.0 or newer keeps all settings)`,
  );
}

const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));
