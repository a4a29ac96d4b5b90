/**
 * From promises and async generators to grpc-js handlers: errors become status, each call has an AbortSignal, and streams
 * have backpressure.
 */
import { once } from 'node:events';
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
} from '@grpc/grpc-js';
import { WattsweepError } from '../../../proto/errors.js';
import { toStatus } from '../../../proto/grpc.js';

export interface CallContext {
  /** Aborts when the client has gone or its deadline has passed. */
  readonly signal: AbortSignal;
}

export type OnFault = (error: unknown, path: string) => void;

/** @param onFault told of errors that are no WattsweepError: faults of our own */
export function unary<Request, Response>(
  handler: (request: Request, context: CallContext) => Promise<Response>,
  onFault: OnFault,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    handler(call.request, contextOf(call)).then(
      (response) => callback(null, response),
      (error: unknown) => callback(failed(error, call.getPath(), onFault)),
    );
  };
}

/** Answers when the handler has; what it has not read by then is left unread. */
export function clientStream<Request, Response>(
  handler: (requests: AsyncIterable<Request>) => Promise<Response>,
  onFault: OnFault,
): handleClientStreamingCall<Request, Response> {
  return (call, callback) => {
    handler(call).then(
      (response) => callback(null, response),
      (error: unknown) => {
        // Who has gone hears nothing, and that the requests broke off is no fault of ours.
        if (!call.cancelled) callback(failed(error, call.getPath(), onFault));
      },
    );
  };
}

/** Ends the stream when the generator does; asks it for the next message only when the last one has found room. */
export function serverStream<Request, Response>(
  handler: (request: Request, context: CallContext) => AsyncGenerator<Response>,
  onFault: OnFault,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const context = contextOf(call);
    void pump(call, handler(call.request, context), context.signal).catch((error: unknown) => {
      if (!context.signal.aborted) call.emit('error', failed(error, call.getPath(), onFault));
    });
  };
}

async function pump<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  messages: AsyncGenerator<Response>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return;
    if (!call.write(message)) await once(call, 'drain', { signal });
  }
  call.end();
}

function contextOf<Request, Response>(
  call: ServerUnaryCall<Request, Response> | ServerWritableStream<Request, Response>,
): CallContext {
  const controller = new AbortController();
  call.once('cancelled', () => controller.abort());
  return { signal: controller.signal };
}

function failed(error: unknown, path: string, onFault: OnFault): StatusObject {
  if (!(error instanceof WattsweepError)) onFault(error, path);
  return toStatus(error);
}
