/** A TCP proxy that tests put between a client and a server: cut it, stop it, or rewrite what the server says. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Breaks every connection, and refuses new ones until `mend`. */
  cut(): void;
  /** Passes nothing from the server to the client from now on (the server still hears the client) until `mend`. */
  mute(): void;
  mend(): void;
  close(): Promise<void>;
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
  let state: 'open' | 'cut' | 'mute' = 'open';
  const server = createServer((client) => {
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(options.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (state === 'open') client.write(rewrite(chunk));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const destroyAll = (): void => {
    for (const socket of [...sockets]) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      state = 'cut';
      destroyAll();
    },
    mute: () => {
      state = 'mute';
    },
    mend: () => {
      // What was swallowed is gone for good, so a muted connection is of no more use.
      if (state === 'mute') destroyAll();
      state = 'open';
    },
    close: async () => {
      destroyAll();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
