/** The trainer's gRPC server: service, health, reflection, and the join token in front of them. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type handleUnaryCall,
  type ServerInterceptor,
  type StatusObject,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Logger } from 'pino';
import { WattsweepError } from '../../../proto/errors.js';
import { TrainerServiceService, type TrainerServiceServer } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { ADVICE_METADATA, AUTHORIZATION_METADATA, CODE_METADATA } from '../../../proto/metadata.js';

const SERVICE = 'wattsweep.v1.TrainerService';
const HEALTH_PATH = '/grpc.health.v1.Health/';
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

function toStatus(error: unknown): StatusObject {
  const known =
    error instanceof WattsweepError
      ? error
      : new WattsweepError('INTERNAL', error instanceof Error ? error.message : String(error));
  const metadata = new Metadata();
  metadata.set(CODE_METADATA, known.code);
  // gRPC allows nothing but ASCII here.
  metadata.set(ADVICE_METADATA, known.advice.replace(/[^\x20-\x7e]/g, '?'));
  return { code: status[known.entry.status], details: known.message, metadata };
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Lets calls pass that carry the join token; probes of health carry none and learn nothing. */
function requireToken(token: string): ServerInterceptor {
  const expected = digest(`Bearer ${token}`);
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, pass) => {
          const given = digest(String(metadata.get(AUTHORIZATION_METADATA)[0] ?? ''));
          if (method.path.startsWith(HEALTH_PATH) || timingSafeEqual(given, expected)) pass(metadata);
          else
            call.sendStatus(
              toStatus(
                new WattsweepError('UNAUTHENTICATED', 'The call carries no join token, or a wrong one.'),
              ),
            );
        });
        next(listener.build());
      },
    });
}

/** Reflection is a convenience: without the .proto files there is none. */
function addReflection(server: Server): void {
  const file = join('wattsweep', 'v1', 'trainer.proto');
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const proto = join(folder, 'proto');
    if (existsSync(join(proto, file))) {
      new ReflectionService(loadSync(file, { includeDirs: [proto] })).addToServer(server);
      return;
    }
    if (folder === dirname(folder)) return;
  }
}
