/** What surrounds a command, as trainers are told it. */
import type { Collector, ProgramSetup as SetupMessage } from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { CollectSpec, ProgramSetup } from '../core/index.js';

export const toSetup = ({ workdir = '', wrap = [], requires = [], collect }: ProgramSetup): SetupMessage => ({
  workdir,
  wrap: [...wrap],
  requires: requires.map(({ path, sha256 }) => ({ path, sha256: sha256 ?? '' })),
  collect: collect === undefined ? undefined : toCollector(collect),
});

function toCollector(collect: CollectSpec): Collector {
  const none = { regex: '', kerasCsv: '', tensorboard: undefined };
  if ('regex' in collect) return { ...none, regex: collect.regex };
  if ('kerasCsv' in collect) return { ...none, kerasCsv: collect.kerasCsv };
  const { folder, metrics, epochs } = collect.tensorboard;
  return { ...none, tensorboard: { folder, metrics: { ...metrics }, epochs } };
}
