/** By which of its addresses this box faces NATS: the one that others can reach it by, too. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WattsweepError } from '../../proto/errors.js';
import { note } from '../output.js';
import { isLoopback } from '../up/token.js';

const CONNECT_WITHIN_MS = 5000;
const RETRY_MS = 2000;

/**
 * Waits until NATS answers, as everything of a trainer does: a box may start before the one that it belongs to.
 * @throws USAGE when `natsUrl` is no address.
 */
export async function localAddressTowards(natsUrl: string): Promise<string> {
  const { hostname, port } = parseUrl(natsUrl.split(',')[0] ?? '');
  if (isLoopback(hostname)) return '127.0.0.1';
  for (let said = false; ; said = true) {
    const address = await ownAddress(hostname.replace(/^\[|\]$/g, ''), Number(port || 4222));
    if (address !== null) return address;
    if (!said) note(`nothing answers at ${natsUrl} yet; waiting for it`);
    await sleep(RETRY_MS);
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text.includes('://') ? text : `nats://${text}`);
  } catch (cause) {
    throw new WattsweepError('USAGE', `"${text}" is no address of NATS; give nats://HOST:PORT`, { cause });
  }
}

function ownAddress(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (address: string | null): void => {
      socket.destroy();
      resolve(address);
    };
    socket.setTimeout(CONNECT_WITHIN_MS, () => end(null));
    socket.once('error', () => end(null));
    socket.once('connect', () => end(socket.localAddress?.replace(/^::ffff:/, '') ?? null));
  });
}
