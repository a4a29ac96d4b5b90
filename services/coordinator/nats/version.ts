/** The oldest nats-server that Wattsweep works with: older ones drop settings that it needs without a word. */
import { WattsweepError } from '../../../proto/errors.js';

const OLDEST = [2, 12, 0] as const;

/** @throws NATS_TOO_OLD */
export function assertServerVersion(version: string): void {
  const parts = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [0, 0, 0];
  for (const [i, oldest] of OLDEST.entries()) {
    const part = parts[i] ?? 0;
    if (part > oldest) return;
    if (part < oldest) {
      throw new WattsweepError(
        'NATS_TOO_OLD',
        `nats-server ${version} is too old: ${OLDEST.join('.')} or newer is needed`,
      );
    }
  }
}
