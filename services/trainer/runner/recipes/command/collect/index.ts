/**
 * Programs that do not report themselves: their epochs are read from what they write anyway. `regex.ts` reads lines of
 * stdout, `keras-csv.ts` and `tensorboard.ts` files that grow. What an epoch is to the rest is `../command.ts`' business.
 */
import type { Collect } from '../../../../protocol/runner.js';
import type { CollectContext, Collector } from './collector.js';
import { KerasCsv } from './keras-csv.js';
import { RegexLines } from './regex.js';
import { TensorBoard } from './tensorboard.js';

/** To be made before the program starts: what is there by then is not of this attempt. */
export function createCollector(collect: Collect, context: CollectContext): Collector {
  if ('regex' in collect) return new RegexLines(collect.regex, context);
  return 'kerasCsv' in collect
    ? new KerasCsv(collect.kerasCsv, context)
    : new TensorBoard(collect.tensorboard, context);
}
