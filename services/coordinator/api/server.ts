/** The coordinator's gRPC server: service, health, reflection, token. */
import { createServer } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { WattsweepError } from '../../../proto/errors.js';
import { CoordinatorServiceService } from '../../../proto/gen/wattsweep/v1/coordinator.js';
import { requireToken } from '../../../proto/grpc.js';
import { createReflection } from './reflection.js';
import type { ServiceOptions } from './changes.js';
import { coordinatorService } from './service.js';

export interface ApiOptions extends ServiceOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Asked of every call but health checks; null asks for none. */
  readonly token: string | null;
}

export interface ApiServer {
  /** `host:port`. */
  readonly address: string;
  /** What the health service says of this coordinator. */
  setServing(serving: boolean): void;
  /** Ends streams and calls under way after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const SERVICE = 'wattsweep.v1.CoordinatorService';
/** Sweep files beyond the limit shall be answered by the parser, with its advice. */
const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

/** @throws PORT_IN_USE */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const { host, port, token } = options;
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.keepalive_time_ms': 30_000,
    interceptors: token === null ? [] : [requireToken(token)],
  });
  server.addService(CoordinatorServiceService, coordinatorService(options));
  const health = new HealthImplementation({ '': 'NOT_SERVING', [SERVICE]: 'NOT_SERVING' });
  health.addToServer(server);
  createReflection()?.addToServer(server);
  const bound = await bind(server, host, port);
  return {
    address: hostPort(host, bound),
    setServing: (serving) => {
      for (const name of ['', SERVICE]) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    close: async (graceMs) => {
      for (const name of ['', SERVICE]) health.setStatus(name, 'NOT_SERVING');
      const force = setTimeout(() => server.forceShutdown(), graceMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(force);
    },
  };
}

/** As URLs and gRPC want it: an IPv6 address in brackets. */
export const hostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

async function bind(server: Server, host: string, port: number): Promise<number> {
  try {
    return await new Promise<number>((resolve, reject) => {
      server.bindAsync(hostPort(host, port), ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  } catch (cause) {
    server.forceShutdown();
    throw await bindFailure(host, port, cause);
  }
}

/** grpc-js says only that it could not bind: listening once more tells why. */
async function bindFailure(host: string, port: number, cause: unknown): Promise<WattsweepError> {
  const code = await new Promise<string>((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
    probe.listen(port, host, () => probe.close(() => resolve('EADDRINUSE')));
  });
  return listenFailure(host, port, code, cause);
}

/** @param code of the system, e.g. `EADDRINUSE` */
export function listenFailure(host: string, port: number, code: string, cause: unknown): WattsweepError {
  if (code === 'EADDRINUSE') {
    return new WattsweepError('PORT_IN_USE', `port ${port} on ${host} is taken`, { cause });
  }
  return new WattsweepError('PORT_IN_USE', `cannot listen on ${host}:${port} (${code})`, {
    cause,
    advice: 'Choose an address of this machine and a port that you may listen on.',
  });
}
