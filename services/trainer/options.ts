/** Options of the trainer service: checked once here, complete and readonly inside. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { WattsweepError } from '../../proto/errors.js';
import { isToken } from '../../proto/subjects.js';
import type { GpuVendor } from './slots/inventory.js';

export interface TrainerOptions {
  /** Where NATS is: the one thing that a trainer must be told. */
  readonly natsUrl: string;
  /** Join token for NATS and gRPC; needed when the service listens beyond loopback. @default null */
  readonly token?: string | null;
  /** A token of [a-z0-9-], stable over restarts. @default from the host name */
  readonly trainerId?: string;
  /** @default ./.wattsweep */
  readonly dataDir?: string;
  /** @default 127.0.0.1 */
  readonly listenHost?: string;
  /** @default 0, a free port */
  readonly grpcPort?: number;
  /** Host under which coordinators reach this box. @default listenHost, or the first outer address for 0.0.0.0 */
  readonly advertiseHost?: string | null;
  /** `auto`: one slot a GPU, else one CPU slot. `{ cpu: n }`: n CPU slots that share the cores. @default 'auto' */
  readonly slots?: 'auto' | { readonly cpu: number };
  /**
   * Makers of the GPUs that are offered as slots. Those of AMD and Intel are for programs: our own recipes do not compute on
   * them, and are not offered beside them. @default ['nvidia']
   */
  readonly gpuVendors?: readonly GpuVendor[];
  /**
   * Slots that share each GPU: several small trials at a time. Their energy is divided evenly among those that run, and is
   * marked as shared. @default 1
   */
  readonly slotsPerDevice?: number;
  /** Programs that the recipe `command` may start, as the sweep file names them. @default [] (recipe not offered) */
  readonly allowCommands?: readonly string[];
  /** Watts to assume of a device that nothing reads, labelled `estimate` wherever it shows. @default null */
  readonly estimateWatts?: number | null;
  /** Lifetime of the trainer's record; renewed each third of it. @default 10000 */
  readonly trainerTtlMs?: number;
  /** A supervisor that has not heard a service for so long ends its attempt and exits. @default 90000 */
  readonly lostAfterMs?: number;
  /** Time that a runner has to checkpoint and exit before it is killed. @default 30000 */
  readonly stopGraceMs?: number;
  /**
   * How long a runner that has ended its attempt in order waits for the slot's next one, which then needs no start; 0:
   * every attempt has a runner of its own. While it waits it holds its memory, on the device too. @default 60000
   */
  readonly warmIdleMs?: number;
  /** Folders of attempts that ended longer ago are removed. @default 604800000, a week */
  readonly keepAttemptsMs?: number;
  /** All attempts' folders together; beyond it the oldest go, but none before an hour. @default 4 GiB */
  readonly keepAttemptsBytes?: number;
  /** Checkpoints of a trial that was trained here more recently are never removed. @default 1209600000, two weeks */
  readonly keepCheckpointsMs?: number;
  /** All checkpoints together; beyond it those that were used longest ago go. @default 50 GiB */
  readonly keepCheckpointsBytes?: number;
  /** Largest checkpoint that is put into NATS, from where its trial goes on on another box; 0: none is. @default 256 MiB */
  readonly storeCheckpointBytes?: number;
  /** Nothing is put there while all checkpoints in NATS, of all boxes, would have more bytes. @default 10 GiB */
  readonly storeTotalBytes?: number;
  /** A trial's checkpoint is put there at most once in this time. @default 60000 */
  readonly storeEveryMs?: number;
  /** Labels for placement. @default {} */
  readonly labels?: Readonly<Record<string, string>>;
  /** CPU threads of an attempt; CPU slots with no more of them than CPUs of their own are pinned. @default the cores, shared among the CPU slots (or GPUs) */
  readonly threadsPerSlot?: number | null;
  /** Several trainers on one box: which part of its GPUs and processors this one has, from 0. @default all of it */
  readonly part?: { readonly index: number; readonly of: number };
  /** Time between two samples of the power meter. @default 200 */
  readonly meterPeriodMs?: number;
  /** pino level. @default 'info' */
  readonly logLevel?: string;
  /** Program and arguments of the runner. @default Node with the runner that ships with Wattsweep */
  readonly runnerCommand?: readonly string[];
  /** Program and arguments of the slot supervisor; the slot's folder is appended. @default Node with our own */
  readonly supervisorCommand?: readonly string[];
}

export type ResolvedTrainerOptions = {
  readonly [K in keyof TrainerOptions]-?: NonNullable<TrainerOptions[K]> | NullOf<K>;
};
type NullOf<K extends keyof TrainerOptions> = null extends TrainerOptions[K] ? null : never;

const DEFAULTS = {
  dataDir: '.wattsweep',
  listenHost: '127.0.0.1',
  trainerTtlMs: 10_000,
  lostAfterMs: 90_000,
  stopGraceMs: 30_000,
  warmIdleMs: 60_000,
  keepAttemptsMs: 7 * 86_400_000,
  keepAttemptsBytes: 4 * 1024 ** 3,
  keepCheckpointsMs: 14 * 86_400_000,
  keepCheckpointsBytes: 50 * 1024 ** 3,
  storeCheckpointBytes: 256 * 1024 ** 2,
  storeTotalBytes: 10 * 1024 ** 3,
  storeEveryMs: 60_000,
  meterPeriodMs: 200,
} as const;

const token = (what: string) =>
  z.string().refine(isToken, `${what} must be made of a-z, 0-9 and -, and begin with a letter or digit`);
const durationMs = (least: number) =>
  z
    .number()
    .int()
    .min(least)
    .max(2 ** 31 - 1);

const bytes = () => z.number().int().min(0);

const schema = z.strictObject({
  natsUrl: z.string().min(1),
  token: z.string().min(1).nullable().default(null),
  trainerId: token('trainerId').default(() => defaultTrainerId()),
  dataDir: z
    .string()
    .min(1)
    .default(DEFAULTS.dataDir)
    .transform((dir) => resolve(dir)),
  listenHost: z.string().min(1).default(DEFAULTS.listenHost),
  grpcPort: z.number().int().min(0).max(65_535).default(0),
  advertiseHost: z.string().min(1).nullable().default(null),
  slots: z
    .union([z.literal('auto'), z.strictObject({ cpu: z.number().int().min(1).max(1024) })])
    .default('auto'),
  gpuVendors: z.array(z.enum(['nvidia', 'amd', 'intel'])).default(['nvidia']),
  slotsPerDevice: z.number().int().min(1).max(64).default(1),
  allowCommands: z.array(z.string().min(1)).default([]),
  estimateWatts: z.number().positive().nullable().default(null),
  trainerTtlMs: durationMs(100).default(DEFAULTS.trainerTtlMs),
  lostAfterMs: durationMs(100).default(DEFAULTS.lostAfterMs),
  stopGraceMs: durationMs(0).default(DEFAULTS.stopGraceMs),
  warmIdleMs: durationMs(0).default(DEFAULTS.warmIdleMs),
  keepAttemptsMs: durationMs(0).default(DEFAULTS.keepAttemptsMs),
  keepAttemptsBytes: bytes().default(DEFAULTS.keepAttemptsBytes),
  keepCheckpointsMs: durationMs(0).default(DEFAULTS.keepCheckpointsMs),
  keepCheckpointsBytes: bytes().default(DEFAULTS.keepCheckpointsBytes),
  storeCheckpointBytes: bytes().default(DEFAULTS.storeCheckpointBytes),
  storeTotalBytes: bytes().default(DEFAULTS.storeTotalBytes),
  storeEveryMs: durationMs(0).default(DEFAULTS.storeEveryMs),
  labels: z.record(z.string(), z.string()).default({}),
  threadsPerSlot: z.number().int().min(1).nullable().default(null),
  part: z
    .strictObject({ index: z.number().int().min(0), of: z.number().int().min(1) })
    .refine(({ index, of }) => index < of, 'index must be below of')
    .default({ index: 0, of: 1 }),
  meterPeriodMs: durationMs(10).default(DEFAULTS.meterPeriodMs),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  runnerCommand: z.array(z.string().min(1)).min(1).optional(),
  supervisorCommand: z.array(z.string().min(1)).min(1).optional(),
});

/** Complete options. Throws USAGE with the place and what is wrong there. */
export function resolveOptions(options: TrainerOptions): ResolvedTrainerOptions {
  const parsed = schema.safeParse(options);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new WattsweepError(
      'USAGE',
      `Trainer option ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}.`,
    );
  }
  const value = parsed.data;
  if (value.token === null && !isLoopback(value.listenHost))
    throw new WattsweepError(
      'USAGE',
      `A trainer that listens on ${value.listenHost}, beyond this machine, needs a join token (--token or WATTSWEEP_TOKEN).`,
    );
  return {
    ...value,
    runnerCommand: value.runnerCommand ?? [process.execPath, shippedProgram('runner')],
    supervisorCommand: value.supervisorCommand ?? [process.execPath, shippedProgram('supervisor')],
  };
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

function defaultTrainerId(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 63);
  return name === '' ? 'trainer' : name;
}

/** Our own programs lie beside this file in dist/; run from the sources (tests), they are those of the last build. */
function shippedProgram(folder: 'runner' | 'supervisor'): string {
  const here = fileURLToPath(import.meta.url);
  const beside = join(dirname(here), folder, 'main.js');
  if (extname(here) === '.js' || existsSync(beside)) return beside;
  return resolve(dirname(here), '../../dist/services/trainer', folder, 'main.js');
}
