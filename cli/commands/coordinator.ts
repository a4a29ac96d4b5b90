import { type Command, Option } from 'commander';
import {
  DEFAULT_DATA_DIR,
  DEFAULT_PORTS,
  dataDir,
  durationOption,
  parseCount,
  parseCountOrNone,
  parsePort,
} from '../options.js';

interface Options {
  readonly nats: string;
  readonly listen: string;
  readonly advertise?: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly data?: string;
  readonly token?: string;
  readonly id?: string;
  readonly replicas: number;
  readonly modules?: string;
  readonly leaseTtl: number;
  readonly trainerTtl: number;
  readonly lostAfter: number;
  readonly keepReports: number;
  readonly keepReportsMib: number;
  readonly quarantineAfter: number;
  readonly snapshotEvents: number;
  readonly newLedger?: boolean;
  readonly logLevel: string;
}

export function register(program: Command): void {
  program
    .command('coordinator')
    .description('run a coordinator: decides, commands trainers, serves the API and /metrics')
    .option('--nats <url>', 'where NATS is', `nats://127.0.0.1:${DEFAULT_PORTS.nats}`)
    .option('--listen <host>', 'address to listen on; beyond loopback a token is needed', '127.0.0.1')
    .option(
      '--advertise <host>',
      'host by which clients reach it (default: --listen, or this box for 0.0.0.0)',
    )
    .option('--grpc-port <port>', '0 for any free one', parsePort, DEFAULT_PORTS.grpc)
    .option(
      '--http-port <port>',
      'for /metrics and /healthz; 0 for any free one',
      parsePort,
      DEFAULT_PORTS.http,
    )
    .option('--data <dir>', `data folder (default: ${DEFAULT_DATA_DIR})`)
    .option('--token <token>', 'join token (default: WATTSWEEP_TOKEN)')
    .option('--id <name>', 'name of this coordinator (default: the host and process)')
    .option('--replicas <n>', 'copies of each stream: 1, or 3 on a cluster of three NATS', parseCount, 1)
    .option('--modules <dir>', 'let sweeps use search methods and stopping rules from this folder')
    .addOption(durationOption('--lease-ttl <time>', 'a leader that is silent for so long is replaced', '10s'))
    .addOption(
      durationOption('--trainer-ttl <time>', 'a trainer that is silent for so long is suspect', '10s'),
    )
    .addOption(durationOption('--lost-after <time>', 'a trainer that is away for so long is lost', '90s'))
    .addOption(
      durationOption('--keep-reports <time>', 'keep reports so long after the ledger has them', '24h'),
    )
    .option('--keep-reports-mib <count>', 'and no more than so many MiB', parseCount, 256)
    .option(
      '--quarantine-after <count>',
      'failures in a row until a box is quarantined; 0 for never',
      parseCountOrNone,
      3,
    )
    .option('--new-ledger', 'begin with an empty ledger though NATS has had another, which was lost')
    .option('--snapshot-events <count>', 'events of the ledger between two snapshots', parseCount, 50_000)
    .addOption(logLevel())
    .action(run);
}

export const logLevel = (): Option =>
  new Option('--log-level <level>', 'on stderr, as JSON lines')
    .choices(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info');

async function run(options: Options): Promise<void> {
  const { startCoordinator } = await import('../../services/coordinator/index.js');
  const { defaultName } = await import('../up/names.js');
  const { requireToken } = await import('../up/token.js');
  const { sayReady, untilAskedToEnd } = await import('../up/child-protocol.js');
  // Heard from the beginning: a coordinator that waits for NATS can be told to end, too.
  const asked = untilAskedToEnd();
  const ending = new AbortController();
  void asked.then(() => ending.abort());
  const running = await startCoordinator({
    natsUrl: options.nats,
    token: requireToken(options.listen, options.token),
    dataDir: dataDir(options),
    listenHost: options.listen,
    advertiseHost: options.advertise ?? null,
    grpcPort: options.grpcPort,
    httpPort: options.httpPort,
    coordinatorId: options.id ?? `${defaultName()}-${process.pid}`,
    replicas: options.replicas,
    modules: options.modules ?? null,
    leaseTtlMs: options.leaseTtl,
    trainerTtlMs: options.trainerTtl,
    lostAfterMs: options.lostAfter,
    keptReportsMs: options.keepReports,
    keptReportsBytes: options.keepReportsMib * 1024 * 1024,
    snapshotEvents: options.snapshotEvents,
    quarantineAfter: options.quarantineAfter,
    newLedger: options.newLedger ?? false,
    logLevel: options.logLevel,
    signal: ending.signal,
  });
  sayReady({ grpc: running.grpcAddress, http: running.httpAddress });
  // `done` fails when the ledger cannot be read: then it has closed by itself, and the reason is the answer.
  await Promise.race([asked, running.done]);
  await running.close();
  // A connection to NATS that timed out while it was being made stays open inside the client library, for minutes.
  process.exit();
}
