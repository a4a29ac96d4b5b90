/**
 * What a .proto file cannot say of a call: how an error and the join token travel in gRPC metadata. Both ends of every
 * call use it, so that they cannot differ.
 *
 * | name | where | what |
 * |---|---|---|
 * | `authorization` | header of every call where a join token is set | `Bearer TOKEN` |
 * | `wattsweep-code` | trailer of a failed call | the error's code in `errors.ts` |
 * | `wattsweep-advice` | trailer of a failed call | what to do, in one sentence of ASCII (gRPC allows nothing else) |
 * | `wattsweep-term` | trailer of STALE_TERM | the term that the trainer remembers, decimal |
 * | `wattsweep-leader` | trailer of NOT_LEADER | `host:port` of the coordinator that leads, where it is known |
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  Metadata,
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type ServerInterceptor,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { type ErrorCode, isErrorCode, NotLeaderError, StaleTermError, WattsweepError } from './errors.js';

const TOKEN = 'authorization';
const CODE = 'wattsweep-code';
const ADVICE = 'wattsweep-advice';
const LEADER = 'wattsweep-leader';
const TERM = 'wattsweep-term';

/** Probes of orchestrators carry no token, and learn nothing but whether the service is up. */
const HEALTH_PATH = '/grpc.health.v1.Health/';

/** In percent-encoding they still fit into the headers of HTTP/2; longer ones are never sent, and the caller waits. */
const MAX_DETAILS_CHARACTERS = 4_000;

const clipped = (message: string): string =>
  message.length <= MAX_DETAILS_CHARACTERS
    ? message
    : `${message.slice(0, MAX_DETAILS_CHARACTERS).replace(/[\ud800-\udbff]$/, '')}...`;

/** The status of a failed call; what is no {@link WattsweepError} is INTERNAL. */
export function toStatus(error: unknown): StatusObject {
  const known =
    error instanceof WattsweepError
      ? error
      : new WattsweepError('INTERNAL', error instanceof Error ? error.message : String(error));
  const metadata = new Metadata();
  metadata.set(CODE, known.code);
  metadata.set(ADVICE, known.advice.replace(/[^\x20-\x7e]/g, '?'));
  if (known instanceof NotLeaderError && known.leaderAddress !== null)
    metadata.set(LEADER, known.leaderAddress);
  if (known instanceof StaleTermError) metadata.set(TERM, String(known.knownTerm));
  return { code: status[known.entry.status], details: clipped(known.message), metadata };
}

export interface Attached {
  readonly code: ErrorCode;
  readonly advice: string;
  /** `host:port` of the coordinator that leads; null where the other end did not name it. */
  readonly leaderAddress: string | null;
  /** The term that a trainer remembers; null where it did not say one. */
  readonly knownTerm: number | null;
}

/** What the other end attached; null where gRPC itself failed, or something else answered. */
export function attached({ metadata }: ServiceError): Attached | null {
  const text = (name: string): string => String(metadata.get(name)[0] ?? '');
  const code = text(CODE);
  if (!isErrorCode(code)) return null;
  const term = Number(text(TERM) || NaN);
  return {
    code,
    advice: text(ADVICE),
    leaderAddress: text(LEADER) || null,
    knownTerm: Number.isSafeInteger(term) ? term : null,
  };
}

/** The headers of a call. */
export function tokenMetadata(token: string | null): Metadata {
  const metadata = new Metadata();
  if (token !== null) metadata.set(TOKEN, `Bearer ${token}`);
  return metadata;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Lets calls pass that carry the token, compared in constant time, and health checks. */
export function requireToken(token: string): ServerInterceptor {
  const expected = digest(`Bearer ${token}`);
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, pass) => {
          const given = digest(String(metadata.get(TOKEN)[0] ?? ''));
          if (method.path.startsWith(HEALTH_PATH) || timingSafeEqual(given, expected)) pass(metadata);
          else
            call.sendStatus(
              toStatus(
                new WattsweepError('UNAUTHENTICATED', 'the call carries no join token, or a wrong one'),
              ),
            );
        });
        next(listener.build());
      },
    });
}
