/**
 * The processes of a run, each of which may be killed, stopped and started again: nats-server, two coordinators, two
 * trainer services with their supervisors and children. What is killed comes back at the same address, with its data.
 */
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type MarkedProcess, type Running, Sandbox, kill, root } from '../e2e/support.js';
import { startNats, type TestNats } from '../support/nats.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';

export const TIMES = { leaseTtlMs: 1_500, trainerTtlMs: 1_000, lostAfterMs: 4_000, stopGraceMs: 2_000 };

export const SCRIPT = join(root, 'test/fixtures/programs/checkpointed.py');

/** The system's own: a start of ten milliseconds, where a version manager's takes ten times that. */
export const PROGRAM = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

export const COORDINATORS = ['c1', 'c2'] as const;
export const TRAINERS = ['t1', 't2'] as const;

const END_WITHIN_MS = 30_000;

export interface StackOptions {
  readonly slotsPerTrainer: number;
}

interface Service {
  readonly start: () => Running;
  running: Running;
}

export class ChaosStack {
  readonly box = new Sandbox();
  readonly #services = new Map<string, Service>();
  #nats: TestNats | null = null;
  /** Between each trainer and NATS. */
  readonly #ways = new Map<string, TcpProxy>();
  readonly #addresses: string[] = [];

  /** `host:port` of both coordinators, with a comma. */
  get server(): string {
    return this.#addresses.join(',');
  }

  get nats(): TestNats {
    if (this.#nats === null) throw new Error('NATS has not been started');
    return this.#nats;
  }

  async start({ slotsPerTrainer }: StackOptions): Promise<void> {
    this.#nats = await startNats();
    const log = ['--log-level', 'info'];
    const ttls = ['--trainer-ttl', `${TIMES.trainerTtlMs}ms`, '--lost-after', `${TIMES.lostAfterMs}ms`];
    const ports = await freePorts(COORDINATORS.length);
    for (const [i, id] of COORDINATORS.entries()) {
      const port = String(ports[i]);
      this.#addresses.push(`127.0.0.1:${port}`);
      const at = ['--grpc-port', port, '--http-port', '0', '--lease-ttl', `${TIMES.leaseTtlMs}ms`];
      this.#add(id, ['coordinator', '--nats', this.#nats.url, ...log, ...ttls, ...at, '--id', id]);
    }
    for (const id of TRAINERS) {
      const way = await startTcpProxy({ port: this.#nats.port });
      this.#ways.set(id, way);
      const nats = ['--nats', `nats://127.0.0.1:${way.port}`];
      const own = ['--id', id, '--data', join(this.box.data, id), '--cpu-slots', String(slotsPerTrainer)];
      const stop = ['--stop-grace', `${TIMES.stopGraceMs}ms`, '--allow-command', PROGRAM];
      this.#add(id, ['trainer', ...nats, ...log, ...ttls, ...own, ...stop]);
    }
  }

  #add(name: string, args: readonly string[]): void {
    const start = (): Running => this.box.wattsweep(args);
    this.#services.set(name, { start, running: start() });
  }

  /** SIGKILL to a service, and its start again after `downMs`. */
  async restart(name: string, downMs: number): Promise<void> {
    const service = this.#service(name);
    kill(service.running.child.pid ?? 0);
    await service.running.exit;
    await sleep(downMs);
    service.running = service.start();
  }

  /** Cuts a trainer off from NATS; coordinators still reach it. */
  async cut(name: string, ms: number): Promise<void> {
    this.#ways.get(name)?.cut();
    await sleep(ms);
    this.#ways.get(name)?.mend();
  }

  pidOf(name: string): number {
    return this.#service(name).running.child.pid ?? 0;
  }

  /** What ended by itself, with its words. */
  ended(): readonly string[] {
    return [...this.#services]
      .filter(([, { running }]) => running.child.exitCode !== null || running.child.signalCode !== null)
      .map(([name, { running }]) => `${name} ended by itself:\n${running.stderr.slice(-2_000)}`);
  }

  async restartNats(downMs: number): Promise<void> {
    const { dir, port } = this.nats;
    await this.nats.kill();
    await sleep(downMs);
    this.#nats = await startNats({ dataDir: dir, port });
  }

  /** Programs under training, by the name of their trial; wrappers and runners around them left out. */
  programs(): readonly MarkedProcess[] {
    return this.box
      .processes()
      .filter(({ command }) => command.includes(SCRIPT))
      .sort((a, b) => (variable(a, 'WATTSWEEP_TRIAL') < variable(b, 'WATTSWEEP_TRIAL') ? -1 : 1));
  }

  /** Supervisors of slots, by the slot's folder. */
  supervisors(): readonly MarkedProcess[] {
    return this.box
      .processes()
      .filter(({ command }) => command.some((word) => word.endsWith('supervisor/main.js')))
      .sort((a, b) => (slotOf(a) < slotOf(b) ? -1 : 1));
  }

  /** Asks every service to end, trainers first. @returns those that did not. */
  async stop(): Promise<string[]> {
    const stuck: string[] = [];
    for (const names of [TRAINERS, COORDINATORS]) {
      await Promise.all(
        names.map(async (name) => {
          const { child, exit } = this.#service(name).running;
          child.kill('SIGTERM');
          const late = sleep(END_WITHIN_MS, 'late', { ref: false });
          if ((await Promise.race([exit, late])) === 'late') stuck.push(`${name} does not end on SIGTERM`);
        }),
      );
    }
    return stuck;
  }

  /** The last words of every service, for a failing run. */
  get words(): string {
    return [...this.#services]
      .map(([name, { running }]) => `--- ${name}\n${running.stderr.slice(-3_000)}`)
      .join('\n');
  }

  async close(): Promise<void> {
    await this.box.close();
    for (const way of this.#ways.values()) await way.close();
    await this.#nats?.stop();
  }

  #service(name: string): Service {
    const service = this.#services.get(name);
    if (service === undefined) throw new Error(`there is no service ${name}`);
    return service;
  }
}

export const variable = ({ environment }: MarkedProcess, name: string): string =>
  environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';

export const slotOf = ({ command }: MarkedProcess): string => command.at(-2) ?? '';

/** Ports that nobody listens on: a service that is killed comes back at its own. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}
