/**
 * What `up` and the services that it starts say to each other, over Node's channel between parent and child. A service
 * that nobody supervises has no channel and says nothing.
 */
import type { WattsweepError } from '../../proto/errors.js';

/** Addresses of a service that can work, by name: `grpc`, `http`, `nats`, `trainerId`. */
export type Ready = Readonly<Record<string, string>>;

export type ChildMessage =
  | { readonly type: 'ready'; readonly ready: Ready }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly advice: string };

/** `leave` ends the service and leaves its attempts to be adopted; `drain` ends them too, after a checkpoint. */
export interface EndRequest {
  readonly type: 'end';
  readonly how: 'leave' | 'drain';
}

const isEndRequest = (message: unknown): message is EndRequest =>
  typeof message === 'object' && message !== null && (message as { type?: unknown }).type === 'end';

export function sayReady(ready: Ready): void {
  send({ type: 'ready', ready });
  // The channel alone must not keep the service alive, nor its closing end it: it outlives its parent.
  process.channel?.unref();
}

export const sayFailed = (error: WattsweepError): void =>
  send({ type: 'failed', code: error.code, message: error.message, advice: error.advice });

function send(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

/** Ends a trainer and leaves its attempts: SIGTERM drains, as systemd and containers expect of a stop. */
export const LEAVE_SIGNAL = 'SIGUSR2';

/**
 * Resolves when the service shall end: SIGINT, SIGTERM or a parent's word to drain, {@link LEAVE_SIGNAL} to leave. A
 * second signal exits at once.
 */
export function untilAskedToEnd(): Promise<EndRequest['how']> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = (how: EndRequest['how'], exitCode: number): void => {
      if (asked) process.exit(exitCode);
      asked = true;
      resolve(how);
    };
    process.on('SIGINT', () => ask('drain', 130));
    process.on('SIGTERM', () => ask('drain', 143));
    process.on(LEAVE_SIGNAL, () => ask('leave', 143));
    process.on('message', (message) => {
      if (isEndRequest(message)) ask(message.how, 1);
    });
  });
}
