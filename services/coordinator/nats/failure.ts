/** Errors of the NATS client, turned into ours: told by their codes, never by their English. */
import { ErrorCode, NatsError } from 'nats';
import { WattsweepError } from '../../../proto/errors.js';

/** JetStream's codes for "wrong last sequence"; 10164 comes while another write is in flight. */
const WRONG_SEQUENCE = new Set([10071, 10164]);
const STREAM_NOT_FOUND = 10059;
const STREAM_NAME_IN_USE = 10058;
const NO_MESSAGE = 10037;

export type NatsErrorKind =
  'wrong_sequence' | 'not_found' | 'no_message' | 'name_in_use' | 'unauthorized' | 'other';

/** What kind of error the client threw. */
export function natsErrorCode(error: unknown): NatsErrorKind {
  if (!(error instanceof NatsError)) return 'other';
  const code = error.api_error?.err_code;
  if (code !== undefined && WRONG_SEQUENCE.has(code)) return 'wrong_sequence';
  if (code === STREAM_NOT_FOUND) return 'not_found';
  if (code === NO_MESSAGE) return 'no_message';
  if (code === STREAM_NAME_IN_USE) return 'name_in_use';
  const kind: string = error.code;
  if (
    kind === ErrorCode.AuthorizationViolation.valueOf() ||
    kind === ErrorCode.AuthenticationExpired.valueOf()
  ) {
    return 'unauthorized';
  }
  return 'other';
}

/** Wraps an error of the client, with what the server said. */
export function unreachable(what: string, error: unknown): WattsweepError {
  if (error instanceof WattsweepError) return error;
  const said = error instanceof NatsError ? (error.api_error?.description ?? error.message) : String(error);
  if (natsErrorCode(error) === 'unauthorized') {
    return new WattsweepError('UNAUTHENTICATED', `NATS refused the join token (${said})`, { cause: error });
  }
  return new WattsweepError('NATS_UNREACHABLE', `${what} (${said})`, { cause: error });
}
