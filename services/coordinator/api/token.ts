/** The join token on incoming calls, compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServerInterceptingCall, ServerListenerBuilder, type ServerInterceptor } from '@grpc/grpc-js';
import { WattsweepError } from '../../../proto/errors.js';
import { AUTHORIZATION_METADATA } from '../../../proto/metadata.js';
import { toStatus } from './rpc.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Probes of orchestrators carry no token, and learn nothing but whether the service is up. */
const OPEN_PATH = '/grpc.health.v1.Health/';

/** Lets calls pass that carry `Bearer TOKEN`. */
export function requireToken(token: string): ServerInterceptor {
  const expected = digest(`Bearer ${token}`);
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, pass) => {
          const given = digest(String(metadata.get(AUTHORIZATION_METADATA)[0] ?? ''));
          if (method.path.startsWith(OPEN_PATH) || timingSafeEqual(given, expected)) {
            pass(metadata);
            return;
          }
          const refusal = new WattsweepError(
            'UNAUTHENTICATED',
            'the call carries no join token, or a wrong one',
          );
          call.sendStatus(toStatus(refusal, method.path, () => undefined));
        });
        next(listener.build());
      },
    });
}
