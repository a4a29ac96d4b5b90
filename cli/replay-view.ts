/** What `wattsweep replay` found, for people and as JSON. */
import type { ReplaySweepResponse } from '../proto/gen/wattsweep/v1/coordinator.js';
import { sentence } from './explanation.js';
import { plural } from './format.js';
import { decisionJson } from './json.js';

export function replayText({ sweepId, reports, decisions, difference }: ReplaySweepResponse): string {
  const done = `${plural(reports, 'epoch')} judged again, ${plural(decisions, 'decision')} compared`;
  if (difference === undefined) return `${sweepId}: ${done}: equal`;
  const { trialId, epoch, message, recorded, recomputed } = difference;
  return [
    `${sweepId}: ${done}, then the first difference`,
    `  ${trialId}, epoch ${epoch}: ${message}`,
    `  recorded:   ${recorded === undefined ? 'none' : sentence(recorded)}`,
    `  recomputed: ${recomputed === undefined ? 'none' : sentence(recomputed)}`,
  ].join('\n');
}

export const replayJson = ({ sweepId, reports, decisions, difference }: ReplaySweepResponse) => ({
  sweepId,
  equal: difference === undefined,
  reports,
  decisions,
  difference:
    difference === undefined
      ? null
      : {
          trialId: difference.trialId,
          epoch: difference.epoch,
          message: difference.message,
          recorded: difference.recorded === undefined ? null : decisionJson(difference.recorded),
          recomputed: difference.recomputed === undefined ? null : decisionJson(difference.recomputed),
        },
});
