/** Where the coordinator of a command is, and a connection to it for as long as the command needs one. */
import { Coordinator, type Server } from '../client/coordinator.js';
import { DEFAULT_PORTS, type ServerOptions, dataDir } from './options.js';
import { readUpRecord } from './up/record.js';
import { givenToken } from './up/token.js';

/** Flag, then environment, then what `up` wrote into its data folder, then the default. */
function resolveServer(options: ServerOptions, env: NodeJS.ProcessEnv = process.env): Server {
  const named = options.server ?? env['WATTSWEEP_SERVER'];
  const record = readUpRecord(dataDir(options));
  const address = named ?? (record?.grpcAddress || null) ?? `127.0.0.1:${DEFAULT_PORTS.grpc}`;
  const recorded = record?.grpcAddress === address ? record.token : null;
  return { address, token: givenToken(options.token, env) ?? recorded };
}

/** Whether a coordinator is named by flag or environment, or known from an `up`. */
export function isServerNamed(
  options: ServerOptions,
  env: NodeJS.ProcessEnv = process.env,
): 'by-hand' | 'by-up' | 'no' {
  if ((options.server ?? env['WATTSWEEP_SERVER']) !== undefined) return 'by-hand';
  return readUpRecord(dataDir(options)) === null ? 'no' : 'by-up';
}

/** Runs `use` on a connection and closes it, whatever happens. */
export async function withCoordinator<T>(
  options: ServerOptions,
  use: (coordinator: Coordinator) => Promise<T>,
): Promise<T> {
  const coordinator = new Coordinator(resolveServer(options));
  try {
    return await use(coordinator);
  } finally {
    coordinator.close();
  }
}
