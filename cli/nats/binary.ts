/** Which nats-server to run: a named one, PATH's where it is new enough, else the pinned one, fetched when it is missing. */
import { ready } from '../../setup/ready.mjs';
import { WattsweepError } from '../../proto/errors.js';

export async function natsBinary(
  named: string | undefined = process.env['WATTSWEEP_NATS_SERVER'],
): Promise<string> {
  const { nats } = await ready({ need: ['nats'], ...(named === undefined ? {} : { natsServer: named }) });
  if (typeof nats !== 'string')
    throw new WattsweepError('INTERNAL', 'set-up did not say where nats-server is');
  return nats;
}
