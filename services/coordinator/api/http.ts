/** The coordinator's HTTP server: /healthz, /readyz, /metrics. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostPort, listenFailure } from './server.js';

/** What /readyz answers with; ready when `ready`. */
export interface Readiness {
  readonly ready: boolean;
  readonly nats: boolean;
  /** `starting`, `following` or `leading`. */
  readonly role: string;
  /** Of the ledger; 0 while not leading. */
  readonly term: number;
}

export interface HttpOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly readiness: () => Readiness;
  /** The exposition and its content type; null until there is one. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string } | null>;
  readonly onFault: (error: unknown, path: string) => void;
}

export interface HttpServer {
  /** `host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

const TEXT = 'text/plain; charset=utf-8';

/** @throws PORT_IN_USE */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, onFault } = options;
  const server = createServer((request, response) => {
    void answer(options, request, response).catch((error: unknown) => {
      onFault(error, request.url ?? '');
      if (!response.headersSent) send(response, 500, TEXT, 'internal error\n');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(listenFailure(host, port, error.code ?? '', error)),
    );
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    address: hostPort(host, bound),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Not by URL: a path of two slashes is none, and no fault of ours.
  const pathname = (request.url ?? '/').replace(/\?.*$/s, '');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(response, 405, TEXT, 'only GET\n');
    return;
  }
  switch (pathname) {
    case '/healthz':
      send(response, 200, TEXT, 'ok\n');
      return;
    case '/readyz': {
      const readiness = options.readiness();
      send(response, readiness.ready ? 200 : 503, 'application/json', `${JSON.stringify(readiness)}\n`);
      return;
    }
    case '/metrics': {
      const metrics = await options.metrics();
      if (metrics === null) send(response, 503, TEXT, 'not ready\n');
      else send(response, 200, metrics.contentType, metrics.text);
      return;
    }
    default:
      send(response, 404, TEXT, 'not found; there are /healthz, /readyz and /metrics\n');
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
