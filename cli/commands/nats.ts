import type { Command } from 'commander';
import { DEFAULT_DATA_DIR, DEFAULT_PORTS, dataDir, parsePort } from '../options.js';

interface Options {
  readonly listen: string;
  readonly port: number;
  readonly data?: string;
  readonly token?: string;
  readonly natsServer?: string;
}

export function register(program: Command): void {
  program
    .command('nats')
    .description('run nats-server with the settings that the ledger needs')
    .option('--listen <host>', 'address to listen on; beyond loopback a token is needed', '127.0.0.1')
    .option('--port <port>', '0 for any free one', parsePort, DEFAULT_PORTS.nats)
    .option('--data <dir>', `data folder (default: ${DEFAULT_DATA_DIR})`)
    .option('--token <token>', 'join token (default: WATTSWEEP_TOKEN)')
    .option('--nats-server <path>', 'own nats-server binary, 2.12 or newer')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { mkdirSync } = await import('node:fs');
  const { startNatsServer } = await import('../nats/server.js');
  const { natsBinary } = await import('../nats/binary.js');
  const { requireToken } = await import('../up/token.js');
  const { sayReady, untilAskedToEnd } = await import('../up/child-protocol.js');
  const { Exit } = await import('../errors.js');
  const { note } = await import('../output.js');
  const token = requireToken(options.listen, options.token);
  const folder = dataDir(options);
  mkdirSync(folder, { recursive: true });
  const binary = await natsBinary(options.natsServer);
  const { child, port } = await startNatsServer({
    binary,
    host: options.listen,
    port: options.port,
    dataDir: folder,
    token,
  });
  const url = `nats://${options.listen}:${port}`;
  sayReady({ nats: url });
  note(`nats-server listens on ${url}; its log is ${folder}/nats.log`);
  const died = new Promise<'died'>((resolve) => child.once('exit', () => resolve('died')));
  if ((await Promise.race([died, untilAskedToEnd()])) === 'died') {
    note(`nats-server ended by itself; read ${folder}/nats.log`);
    throw new Exit(4);
  }
  child.kill('SIGTERM');
  await died;
}
