/**
 * The join token. On loopback none is needed; beyond it NATS and gRPC refuse whoever does not know it. It travels in the
 * environment, never in arguments, which every user of a box can list.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { WattsweepError } from '../../proto/errors.js';

export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || /^127\.\d+\.\d+\.\d+$/.test(bare);
}

/** By flag, else by environment. An empty one is none: it would open the box to everybody. */
export const givenToken = (flag: string | undefined, env: NodeJS.ProcessEnv = process.env): string | null =>
  (flag ?? env['WATTSWEEP_TOKEN']) || null;

/**
 * The token that a single service shall use.
 * @throws UNAUTHENTICATED when it would listen beyond loopback without one.
 */
export function requireToken(listenHost: string, flag: string | undefined): string | null {
  const token = givenToken(flag);
  if (token === null && !isLoopback(listenHost)) {
    throw new WattsweepError('UNAUTHENTICATED', `listening on ${listenHost} needs a join token`, {
      advice: 'Give --token or WATTSWEEP_TOKEN; `wattsweep up --listen` makes one.',
    });
  }
  return token;
}

/** The token of a data folder: made once, readable by its owner only, the same at every start. */
export function keptToken(dataDir: string): string {
  const path = join(dataDir, 'token');
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (kept !== '') return kept;
  } catch {
    // Not made yet.
  }
  const token = randomBytes(24).toString('base64url');
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return token;
}

/** An address under which other boxes reach this one: the host itself, or for 0.0.0.0 the first outward one. */
export function reachableHost(listenHost: string): string {
  if (listenHost !== '0.0.0.0' && listenHost !== '::') return listenHost;
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal);
  return (outward.find((address) => address.family === 'IPv4') ?? outward[0])?.address ?? '127.0.0.1';
}

export const hostPort = (host: string, port: number): string =>
  `${isIPv6(host) ? `[${host}]` : host}:${port}`;
