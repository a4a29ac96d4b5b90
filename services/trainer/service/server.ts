/** The trainer's gRPC server: service, health, reflection, and the join token in front of them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import type { Logger } from 'pino';
import { WattsweepError } from '../../../proto/errors.js';
import { TrainerServiceService, type TrainerServiceServer } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { requireToken, toStatus } from '../../../proto/grpc.js';
import { projectRoot } from '../../../setup/locate.mjs';

const SERVICE = 'wattsweep.v1.TrainerService';
const CLOSE_GRACE_MS = 1_000;

export interface TrainerServer {
  readonly port: number;
  setServing(serving: boolean): void;
  close(): Promise<void>;
}

/** Throws PORT_IN_USE when the address cannot be had. */
export async function serve(
  service: TrainerServiceServer,
  options: { readonly host: string; readonly port: number; readonly token: string | null },
): Promise<TrainerServer> {
  const server = new Server({
    'grpc.keepalive_time_ms': 30_000,
    interceptors: options.token === null ? [] : [requireToken(options.token)],
  });
  server.addService(TrainerServiceService, service);
  const health = new HealthImplementation({ '': 'NOT_SERVING', [SERVICE]: 'NOT_SERVING' });
  health.addToServer(server);
  addReflection(server);
  const setServing = (serving: boolean): void => {
    for (const name of ['', SERVICE]) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  };
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const address = `${host}:${String(options.port)}`;
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new WattsweepError('PORT_IN_USE', `The trainer cannot listen on ${address}: ${error.message}.`, {
            cause: error,
          }),
        );
    });
  });
  return {
    port,
    setServing,
    close: async () => {
      setServing(false);
      const force = setTimeout(() => server.forceShutdown(), CLOSE_GRACE_MS);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(force);
    },
  };
}

/** A handler from a promise: errors carry their code in the trailers. */
export const unary =
  <Request, Response>(
    log: Logger,
    handler: (request: Request) => Promise<Response>,
  ): handleUnaryCall<Request, Response> =>
  (call, callback) => {
    handler(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => {
        if (!(error instanceof WattsweepError))
          log.error({ err: error, call: call.getPath() }, 'a call failed');
        callback(toStatus(error));
      },
    );
  };

/** Reflection is a convenience: without the .proto files there is none. */
function addReflection(server: Server): void {
  const folder = join(projectRoot(), 'proto');
  const file = join(folder, 'wattsweep', 'v1', 'trainer.proto');
  if (!existsSync(file)) return;
  new ReflectionService(loadSync([file, healthProto], { includeDirs: [folder] })).addToServer(server);
}
