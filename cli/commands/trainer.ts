import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  DEFAULT_DATA_DIR,
  DEFAULT_PORTS,
  collectLabel,
  dataDir,
  parseCount,
  parseCountOrNone,
  durationOption,
  parsePositive,
  repeatedOption,
  warmOption,
} from '../options.js';
import type { GpuVendor } from '../../services/trainer/index.js';
import { logLevel } from './coordinator.js';

interface Options {
  readonly nats: string;
  readonly listen?: string;
  readonly data?: string;
  readonly token?: string;
  readonly id?: string;
  readonly cpuSlots?: number;
  readonly slotsPerDevice: number;
  readonly gpuVendor: readonly GpuVendor[];
  readonly threads?: number;
  readonly part: { readonly index: number; readonly of: number };
  readonly allowCommand: readonly string[];
  readonly label: Readonly<Record<string, string>>;
  readonly estimateWatts?: number;
  readonly trainerTtl: number;
  readonly lostAfter: number;
  readonly stopGrace: number;
  readonly warm: number;
  readonly keepAttempts: number;
  readonly keepAttemptsMib: number;
  readonly keepCheckpoints: number;
  readonly keepCheckpointsMib: number;
  readonly storeCheckpointsMib: number;
  readonly storeTotalMib: number;
  readonly storeEvery: number;
  readonly logLevel: string;
}

const VENDORS: readonly GpuVendor[] = ['nvidia', 'amd', 'intel'];

function addVendor(text: string, before: readonly GpuVendor[]): readonly GpuVendor[] {
  const vendor = VENDORS.find((name) => name === text);
  if (vendor === undefined) throw new InvalidArgumentError(`Must be one of ${VENDORS.join(', ')}.`);
  return [...before, vendor];
}

function parsePart(text: string): Options['part'] {
  const [i, n] = /^(\d+)\/(\d+)$/.exec(text)?.slice(1).map(Number) ?? [];
  if (i === undefined || n === undefined || i < 1 || i > n)
    throw new InvalidArgumentError('Must be i/n with i from 1 to n, e.g. 1/2.');
  return { index: i - 1, of: n };
}

export function register(program: Command): void {
  program
    .command('trainer')
    .description('run a trainer: a slot per GPU of this box, or one on its CPU')
    .option('--nats <url>', 'where NATS is', `nats://127.0.0.1:${DEFAULT_PORTS.nats}`)
    .option(
      '--listen <host>',
      'address that the coordinator reaches this box by (default: the one that faces NATS)',
    )
    .option('--data <dir>', `folder of attempts, spools and checkpoints (default: ${DEFAULT_DATA_DIR})`)
    .option('--token <token>', 'join token (default: WATTSWEEP_TOKEN)')
    .option('--id <name>', 'name of this trainer, stable over restarts (default: the host)')
    .option(
      '--cpu-slots <n>',
      'so many slots on the CPU, whatever GPUs there are, each with cores of its own',
      parseCount,
    )
    .option(
      '--slots-per-device <n>',
      'so many slots share each GPU; their energy is divided among what runs there',
      parseCount,
      1,
    )
    .addOption(
      new Option(
        '--gpu-vendor <name>',
        'offer GPUs of this maker: nvidia (default), amd or intel, for programs; may stand several times',
      )
        .choices(VENDORS)
        .argParser(addVendor)
        .default([], 'nvidia'),
    )
    .option('--threads <n>', 'CPU threads a slot', parseCount)
    .addOption(
      new Option('--part <i/n>', 'take the i-th of n parts of this box, where n trainers share it')
        .argParser(parsePart)
        .default({ index: 0, of: 1 }, '1/1'),
    )
    .addOption(repeatedOption('--allow-command <program>', 'let sweeps run this program'))
    .option('--label <key=value>', 'label for placement; may stand several times', collectLabel, {})
    .option(
      '--estimate-watts <w>',
      'where nothing reads power: assume so much, labelled as an estimate',
      parsePositive,
    )
    .addOption(
      durationOption('--trainer-ttl <time>', 'the record in NATS lives so long without renewal', '10s'),
    )
    .addOption(
      durationOption('--lost-after <time>', 'an attempt without its service gives up after so long', '90s'),
    )
    .addOption(durationOption('--stop-grace <time>', 'from asking an attempt to end to killing it', '30s'))
    .addOption(warmOption())
    .addOption(
      durationOption('--keep-attempts <time>', 'keep spool and log of an ended attempt so long', '168h'),
    )
    .option('--keep-attempts-mib <count>', 'and of all attempts no more than so many MiB', parseCount, 4096)
    .addOption(
      durationOption(
        '--keep-checkpoints <time>',
        "never remove a trial's checkpoints before so long",
        '336h',
      ),
    )
    .option(
      '--keep-checkpoints-mib <count>',
      'then the oldest go while all are more than so many MiB',
      parseCount,
      51_200,
    )
    .option(
      '--store-checkpoints-mib <count>',
      "put a trial's checkpoint into NATS, for another box, if it has no more MiB; 0 for never",
      parseCountOrNone,
      256,
    )
    .option('--store-total-mib <count>', 'and if all boxes together then have no more', parseCount, 10_240)
    .addOption(durationOption('--store-every <time>', "each trial's at most once in so long", '60s'))
    .addOption(logLevel())
    .addHelpText(
      'after',
      '\nCtrl-C and SIGTERM drain: attempts checkpoint and end. SIGUSR2 leaves them running, to be adopted at the next start.',
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { startTrainer } = await import('../../services/trainer/index.js');
  const { localAddressTowards } = await import('../nats/local-address.js');
  const { defaultName } = await import('../up/names.js');
  const { requireToken } = await import('../up/token.js');
  const { sayReady, untilAskedToEnd } = await import('../up/child-protocol.js');
  const listenHost = options.listen ?? (await localAddressTowards(options.nats));
  const running = await startTrainer({
    natsUrl: options.nats,
    token: requireToken(listenHost, options.token),
    trainerId: options.id ?? defaultName(),
    dataDir: dataDir(options),
    listenHost,
    slots: options.cpuSlots === undefined ? 'auto' : { cpu: options.cpuSlots },
    gpuVendors: options.gpuVendor.length === 0 ? ['nvidia'] : options.gpuVendor,
    slotsPerDevice: options.slotsPerDevice,
    threadsPerSlot: options.threads ?? null,
    part: options.part,
    allowCommands: options.allowCommand,
    labels: options.label,
    estimateWatts: options.estimateWatts ?? null,
    trainerTtlMs: options.trainerTtl,
    lostAfterMs: options.lostAfter,
    stopGraceMs: options.stopGrace,
    warmIdleMs: options.warm,
    keepAttemptsMs: options.keepAttempts,
    keepAttemptsBytes: options.keepAttemptsMib * 1024 * 1024,
    keepCheckpointsMs: options.keepCheckpoints,
    keepCheckpointsBytes: options.keepCheckpointsMib * 1024 * 1024,
    storeCheckpointBytes: options.storeCheckpointsMib * 1024 * 1024,
    storeTotalBytes: options.storeTotalMib * 1024 * 1024,
    storeEveryMs: options.storeEvery,
    logLevel: options.logLevel,
  });
  sayReady({ trainerId: running.trainerId, grpc: running.grpcAddress });
  const how = await Promise.race([untilAskedToEnd(), running.closed]);
  // It closed by itself: another trainer has its name, or its folder.
  if (how instanceof Error) throw how;
  await running.close({ drain: how === 'drain' });
  // A connection to NATS that timed out while it was being made stays open inside the client library, for minutes.
  process.exit();
}
