/** Three nats-servers on loopback as one cluster, each of which can be killed and started again with its data. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../chaos/stack.js';
import { startNats, type TestNats } from './nats.js';

export interface TestCluster {
  /** Addresses of all servers, with commas. */
  readonly url: string;
  /** SIGKILL to the server of this name (`n1` to `n3`). */
  kill(name: string): Promise<void>;
  /** Starts it again at its address, with its data. */
  restart(name: string): Promise<void>;
  stop(): Promise<void>;
}

export const NAMES = ['n1', 'n2', 'n3'] as const;

export async function startNatsCluster(): Promise<TestCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'wattsweep-cluster-'));
  const ports = await freePorts(2 * NAMES.length);
  const members = NAMES.map((name, i) => ({ name, port: ports[2 * i]!, route: ports[2 * i + 1]! }));
  const routes = members.map(({ route }) => `"nats-route://127.0.0.1:${route}"`).join(', ');
  const servers = new Map<string, TestNats>();
  const start = async (name: string): Promise<void> => {
    const member = members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`the cluster has no server ${name}`);
    const cluster = [
      `server_name: ${name}`,
      `cluster { name: wattsweep, listen: "127.0.0.1:${member.route}", routes: [${routes}] }`,
    ];
    servers.set(name, await startNats({ dataDir: join(dir, name), port: member.port, settings: cluster }));
  };
  await Promise.all(NAMES.map(start));
  return {
    url: members.map(({ port }) => `nats://127.0.0.1:${port}`).join(','),
    kill: async (name) => servers.get(name)?.kill(),
    restart: start,
    stop: async () => {
      await Promise.all([...servers.values()].map((server) => server.kill()));
      await rm(dir, { recursive: true, force: true });
    },
  };
}
