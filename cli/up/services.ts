/** The services that `up` runs: how each is started, asked to end, and how long it may take. */
import { join } from 'node:path';
import { startNatsServer } from '../nats/server.js';
import {
  type RestartPolicy,
  Service,
  type ServiceEvents,
  type ServiceSpec,
  startWattsweep,
} from './children.js';
import type { EndRequest } from './child-protocol.js';
import { signalProcess } from './process-identity.js';
import { hostPort } from './token.js';

/** Everything that `up` was told, complete. */
export interface UpOptions {
  readonly dataDir: string;
  readonly listenHost: string;
  readonly ports: { readonly nats: number; readonly grpc: number; readonly http: number };
  readonly token: string | null;
  /** `part` of `threads` cores and of the GPUs, as `1/2`. */
  readonly trainers: readonly { readonly id: string; readonly threads: number; readonly part: string }[];
  /** Slots that share each GPU. */
  readonly slotsPerDevice: number;
  readonly allowCommands: readonly string[];
  /** Folder of users' search methods and stopping rules; null: none may run. */
  readonly modules: string | null;
  readonly estimateWatts: number | null;
  readonly trainerTtlMs: number;
  readonly lostAfterMs: number;
  readonly stopGraceMs: number;
  /** 0: off. */
  readonly warmIdleMs: number;
  readonly restart: RestartPolicy;
  readonly logLevel: string;
  /** Begin with an empty ledger though NATS has had another. */
  readonly newLedger: boolean;
}

const NATS_END_MS = 10_000;
const COORDINATOR_END_MS = 10_000;
const READY_WITHIN_MS = 60_000;
/** A drained trainer needs its attempts' grace, and some seconds for their last reports. */
const DRAIN_MARGIN_MS = 10_000;

const terminate: ServiceSpec['ask'] = (_child, identity) => void signalProcess(identity, 'SIGTERM');

export function natsService(options: UpOptions, binary: string, events: ServiceEvents): Service {
  return new Service(
    {
      name: 'nats',
      endWithinMs: NATS_END_MS,
      ask: terminate,
      start: async (previous) => {
        // A restarted server must come back where everybody looks for it.
        const port = previous?.['port'] === undefined ? options.ports.nats : Number(previous['port']);
        const server = await startNatsServer({
          binary,
          host: options.listenHost,
          port,
          dataDir: options.dataDir,
          token: options.token,
        });
        return { child: server.child, ready: { port: String(server.port) } };
      },
    },
    options.restart,
    events,
  );
}

const environment = (options: UpOptions): Record<string, string> =>
  options.token === null ? {} : { WATTSWEEP_TOKEN: options.token };

const duration = (ms: number): string => `${ms}ms`;
const portOf = (address: string | undefined, otherwise: number): string =>
  String(address === undefined ? otherwise : Number(address.slice(address.lastIndexOf(':') + 1)));

export function coordinatorService(options: UpOptions, natsUrl: string, events: ServiceEvents): Service {
  return new Service(
    {
      name: 'coordinator',
      endWithinMs: COORDINATOR_END_MS,
      ask: terminate,
      start: (previous) =>
        startWattsweep('the coordinator', {
          args: [
            'coordinator',
            ...['--nats', natsUrl],
            ...['--listen', options.listenHost],
            ...['--grpc-port', portOf(previous?.['grpc'], options.ports.grpc)],
            ...['--http-port', portOf(previous?.['http'], options.ports.http)],
            ...['--data', join(options.dataDir, 'coordinator')],
            ...['--trainer-ttl', duration(options.trainerTtlMs)],
            ...['--lost-after', duration(options.lostAfterMs)],
            ...(options.modules === null ? [] : ['--modules', options.modules]),
            ...(options.newLedger ? ['--new-ledger'] : []),
            ...['--log-level', options.logLevel],
          ],
          env: environment(options),
          logFile: join(options.dataDir, 'coordinator.log'),
          readyWithinMs: READY_WITHIN_MS,
        }),
    },
    options.restart,
    events,
  );
}

export function trainerService(
  options: UpOptions,
  trainer: UpOptions['trainers'][number],
  natsUrl: string,
  events: ServiceEvents,
): Service {
  return new Service(
    {
      name: `trainer ${trainer.id}`,
      endWithinMs: options.stopGraceMs + DRAIN_MARGIN_MS,
      ask: (child, identity) => {
        const request: EndRequest = { type: 'end', how: 'drain' };
        if (child.connected) child.send(request);
        else signalProcess(identity, 'SIGINT');
      },
      start: () =>
        startWattsweep(`trainer ${trainer.id}`, {
          args: [
            'trainer',
            ...['--nats', natsUrl],
            ...['--id', trainer.id],
            ...['--listen', options.listenHost],
            ...['--data', options.dataDir],
            ...['--threads', String(trainer.threads)],
            ...['--part', trainer.part],
            ...['--slots-per-device', String(options.slotsPerDevice)],
            ...options.allowCommands.flatMap((program) => ['--allow-command', program]),
            ...(options.estimateWatts === null ? [] : ['--estimate-watts', String(options.estimateWatts)]),
            ...['--trainer-ttl', duration(options.trainerTtlMs)],
            ...['--lost-after', duration(options.lostAfterMs)],
            ...['--stop-grace', duration(options.stopGraceMs)],
            // On this machine alone NATS lies on the same disk.
            ...(options.listenHost === '127.0.0.1' ? ['--store-checkpoints-mib', '0'] : []),
            ...['--warm', options.warmIdleMs === 0 ? 'off' : duration(options.warmIdleMs)],
            ...['--log-level', options.logLevel],
          ],
          env: environment(options),
          logFile: join(options.dataDir, `trainer-${trainer.id}.log`),
          readyWithinMs: READY_WITHIN_MS,
        }),
    },
    options.restart,
    events,
  );
}

/** Where this machine's own services reach NATS. */
export const localNatsUrl = (listenHost: string, port: string): string =>
  `nats://${hostPort(listenHost === '0.0.0.0' ? '127.0.0.1' : listenHost === '::' ? '::1' : listenHost, Number(port))}`;
