/** By which of its addresses this box faces NATS: the one that others can reach it by, too. */
import { connect } from 'node:net';
import { WattsweepError } from '../../proto/errors.js';

const CONNECT_WITHIN_MS = 5000;

/** @throws NATS_UNREACHABLE when nothing answers there. */
export function localAddressTowards(natsUrl: string): Promise<string> {
  const url = new URL(natsUrl.includes('://') ? natsUrl : `nats://${natsUrl}`);
  return new Promise((resolve, reject) => {
    const unreachable = (cause?: Error): void =>
      reject(new WattsweepError('NATS_UNREACHABLE', `nothing answers at ${natsUrl}`, { cause }));
    const socket = connect({ host: url.hostname, port: Number(url.port || 4222) });
    socket.setTimeout(CONNECT_WITHIN_MS, () => {
      unreachable();
      socket.destroy();
    });
    socket.once('error', unreachable);
    socket.once('connect', () => {
      const address = socket.localAddress ?? '127.0.0.1';
      socket.destroy();
      resolve(address.replace(/^::ffff:/, ''));
    });
  });
}
