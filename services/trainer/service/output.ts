/** ReadOutput: what an attempt's program has printed, a piece a call, so that nobody holds anything open meanwhile. */
import { existsSync } from 'node:fs';
import { WattsweepError } from '../../../proto/errors.js';
import type { ReadOutputRequest, ReadOutputResponse } from '../../../proto/gen/wattsweep/v1/trainer.js';
import { isToken } from '../../../proto/subjects.js';
import { checkedKey } from '../attempts/request.js';
import { attemptFiles, type TrainerLayout } from '../layout.js';
import { readOutput } from '../output/reader.js';

/** Far below what one gRPC message may hold (4 MiB). */
const MAX_PIECE_BYTES = 256 * 1024;

/** @throws REQUEST_INVALID, OUTPUT_GONE */
export function answerReadOutput(layout: TrainerLayout, request: ReadOutputRequest): ReadOutputResponse {
  const key = checkedKey(request.key, request.trialTermId);
  if (!isToken(request.ledgerId))
    throw new WattsweepError('REQUEST_INVALID', 'The request does not say of which ledger the attempt is.');
  const files = [layout.attemptDir(request.ledgerId, key), layout.formerAttemptDir(request.ledgerId, key)]
    .map(attemptFiles)
    .find(({ accepted }) => existsSync(accepted));
  if (files === undefined)
    throw new WattsweepError(
      'OUTPUT_GONE',
      `This box does not have attempt ${String(key.attempt)} of ${key.sweepId}/${key.trialId} (any more).`,
    );
  return readOutput(files.output, request.from, MAX_PIECE_BYTES);
}
