/**
 * A TCP proxy that tests put between a client and a server. Its toxics are named as toxiproxy names them: `latency`,
 * `slicer`, `down`, `reset`; besides, it can fall silent in one direction, and rewrite what the server says.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TcpProxy {
  readonly port: number;
  /** Clients that are connected now. */
  readonly clients: number;
  /** Breaks every connection, and refuses new ones until `mend` (toxiproxy: `down`). */
  cut(): void;
  /** Passes nothing from the server to the client from now on (the server still hears the client) until `mend`. */
  mute(): void;
  /** Passes nothing in either direction, and breaks nothing, until `mend`: a network that swallows packets. */
  blackhole(): void;
  /** Resets every connection once (RST); new ones are welcome. */
  reset(): void;
  /** Replaces the toxics that slow things down; `{}` takes them away. */
  poison(toxics: Toxics): void;
  mend(): void;
  close(): Promise<void>;
}

export interface Toxics {
  /** Each chunk arrives so much later, in order, milliseconds. @default 0 */
  readonly latencyMs?: number;
  /** Chunks are cut into pieces of so many bytes. @default whole */
  readonly sliceBytes?: number;
}

export interface TcpProxyOptions {
  readonly port: number;
  /** Changes what the server sends. @default nothing */
  readonly rewrite?: (chunk: Buffer) => Buffer;
}

/** Listens on a free port of 127.0.0.1 and passes everything on to `options.port` there. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const { rewrite = (chunk: Buffer) => chunk } = options;
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'mute' | 'blackhole' = 'open';
  let toxics: Toxics = {};

  /** Carries chunks in order, however late each is. */
  const carry = (
    from: Socket,
    to: Socket,
    silent: () => boolean,
    change: (chunk: Buffer) => Buffer,
  ): void => {
    let before = Promise.resolve();
    const send = async (chunk: Buffer, due: number): Promise<void> => {
      const wait = due - performance.now();
      if (wait > 0) await sleep(wait);
      if (to.destroyed) return;
      const { sliceBytes = chunk.length } = toxics;
      for (let at = 0; at < chunk.length; at += sliceBytes) {
        to.write(chunk.subarray(at, at + sliceBytes));
        // Each piece in a packet of its own, as far as the kernel lets us.
        if (sliceBytes < chunk.length) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    from.on('data', (chunk: Buffer) => {
      if (silent()) return;
      const due = performance.now() + (toxics.latencyMs ?? 0);
      before = before.then(() => send(change(chunk), due));
    });
  };

  const server = createServer((client) => {
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(options.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    carry(
      client,
      upstream,
      () => state === 'blackhole',
      (chunk) => chunk,
    );
    carry(upstream, client, () => state === 'blackhole' || state === 'mute', rewrite);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const destroyAll = (): void => {
    for (const socket of [...sockets]) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get clients() {
      return sockets.size / 2;
    },
    cut: () => {
      state = 'cut';
      destroyAll();
    },
    mute: () => {
      state = 'mute';
    },
    blackhole: () => {
      state = 'blackhole';
    },
    reset: () => {
      for (const socket of [...sockets]) socket.resetAndDestroy();
    },
    poison: (next) => {
      toxics = next;
    },
    mend: () => {
      // What was swallowed is gone for good, so such a connection is of no more use.
      if (state === 'mute' || state === 'blackhole') destroyAll();
      state = 'open';
    },
    close: async () => {
      destroyAll();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
