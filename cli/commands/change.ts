/** Commands that change a sweep after its submission: `rerun`, `extend`, `set`, `tag`, `archive`, `delete`. */
import { InvalidArgumentError, type Command } from 'commander';
import type { LimitChange, Sweep } from '../../proto/gen/wattsweep/v1/coordinator.js';
import {
  type JsonOption,
  type ServerOptions,
  parseCount,
  repeatedOption,
  withServer,
  withSet,
} from '../options.js';

type CommonOptions = ServerOptions & JsonOption;

export function register(program: Command): void {
  registerRerun(program);
  registerExtend(program);
  registerSet(program);
  registerTag(program);
  registerArchive(program);
  registerDelete(program);
}

/** Prints what was done, or the sweep as it stands then. */
async function answer(
  { json }: CommonOptions,
  sweep: Sweep | undefined,
  words: string,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { print, printJson } = await import('../output.js');
  const { sweepJson } = await import('../json.js');
  if (json) printJson({ ...facts, sweep: sweep === undefined ? null : sweepJson(sweep) });
  else print(`${sweep?.sweepId ?? ''}: ${words}`);
}

/** `latest` for the newest. */
const named = (sweep: string): string => (sweep === 'latest' ? '' : sweep);

interface RerunOptions extends CommonOptions {
  readonly trial: readonly string[];
  readonly cancelled?: boolean;
  readonly diverged?: boolean;
}

function registerRerun(program: Command): void {
  const command = program
    .command('rerun')
    .description('run failed trials again, from their last checkpoint; a sweep that has ended opens again')
    .argument('<sweep>', 'sweep, or `latest`')
    .addOption(repeatedOption('--trial <trial>', 'only this one, whatever it ended as but succeeded'))
    .option('--cancelled', 'those that ended with the sweep, too: by `stop` or by its budget')
    .option('--diverged', 'diverged ones, too; they start from their first epoch, with the same seed')
    .addHelpText(
      'after',
      `
No epoch counts twice: what is trained again adds to the energy spent, and the first value holds. Retries are
counted anew. A sweep that was stopped goes on with the rest of its search, too.

Examples:
  wattsweep rerun latest                        every failed trial
  wattsweep rerun latest --trial t0003          this one
  wattsweep rerun latest --cancelled            undo \`wattsweep stop\``,
    );
  withServer(command).action(async (sweepId: string, options: RerunOptions) => {
    const { withCoordinator } = await import('../client.js');
    const { trial, cancelled = false, diverged = false } = options;
    const request = { sweepId: named(sweepId), trialIds: trial, cancelled, diverged };
    const { sweep, trialIds } = await withCoordinator(options, (coordinator) => coordinator.rerun(request));
    const count = `${trialIds.length} ${trialIds.length === 1 ? 'trial runs' : 'trials run'} again`;
    await answer(options, sweep, `${count}: ${trialIds.join(', ')}`, { trialIds });
  });
}

interface ExtendOptions extends CommonOptions {
  readonly trials?: number;
  readonly repeats?: number;
  readonly maxEpochs?: number;
  readonly file?: string;
  readonly set: readonly string[];
}

function registerExtend(program: Command): void {
  const command = program
    .command('extend')
    .description('more points, repeats or epochs of a sweep, running or ended; what has run is kept')
    .argument('<sweep>', 'sweep, or `latest`')
    .option('--trials <n>', 'points in all, of a search that draws', parseCount)
    .option('--repeats <n>', 'runs of each point in all', parseCount)
    .option('--max-epochs <n>', 'epochs of a trial in all', parseCount)
    .option('--file <file>', 'the sweep file with points added (a grid, a list), or with the above');
  withServer(withSet(command))
    .addHelpText(
      'after',
      `
With more epochs, trials that were complete go on from their last checkpoint; those that a rule has stopped, or that
held the target, stay as they are. See docs/sweep-file.md for what a longer schedule means for them.

Examples:
  wattsweep extend latest --trials 100                  40 more points after the first 60
  wattsweep extend latest --max-epochs 120              go on to epoch 120
  wattsweep extend latest --file study.yaml             values were added to the grid`,
    )
    .action(async (sweepId: string, options: ExtendOptions) => {
      const { withCoordinator } = await import('../client.js');
      const { readSweepFile } = await import('../sweep-file.js');
      const { trials, repeats, maxEpochs, file, set: overrides } = options;
      const yaml = file === undefined ? '' : readSweepFile(file, overrides).yaml;
      const request = { sweepId: named(sweepId), trials, repeats, maxEpochs, yaml, overrides };
      const { sweep, change } = await withCoordinator(options, (coordinator) => coordinator.extend(request));
      await answer(options, sweep, change, { change });
    });
}

/** `max_parallel=3`; `none` and nothing for no limit. */
function parseLimit(text: string): LimitChange {
  const at = text.indexOf('=');
  const value = text.slice(at + 1).trim();
  if (at < 1) throw new InvalidArgumentError('Give key=value, e.g. max_parallel=3.');
  const key = text.slice(0, at).trim();
  if (value === '' || value === 'none') return { key, value: undefined };
  if (!Number.isFinite(Number(value))) throw new InvalidArgumentError(`${key} takes a number, or none.`);
  return { key, value: Number(value) };
}

function registerSet(program: Command): void {
  const command = program
    .command('set')
    .description('change limits of a sweep while it runs; recorded, and in force at once')
    .argument('<sweep>', 'sweep, or `latest`')
    .argument(
      '<key=value...>',
      'max_parallel, budget.energy_wh, budget.hours, priority; `none` for no limit',
      (text: string, before: readonly LimitChange[] | undefined) => [...(before ?? []), parseLimit(text)],
    )
    .addHelpText(
      'after',
      `
A budget below what is spent ends the sweep. With a smaller max_parallel, what runs goes on to its end, and nothing
new starts until fewer run. Slots are shared between sweeps in proportion to their priority (1 when none is given).

Examples:
  wattsweep set latest max_parallel=3
  wattsweep set latest budget.energy_wh=500 budget.hours=none
  wattsweep set latest priority=2                       twice the slots of another sweep`,
    );
  withServer(command).action(
    async (sweepId: string, changes: readonly LimitChange[], options: CommonOptions) => {
      const { withCoordinator } = await import('../client.js');
      const { limitsLine } = await import('../sweep-view.js');
      const { sweep } = await withCoordinator(options, (coordinator) =>
        coordinator.setLimits(named(sweepId), changes),
      );
      await answer(options, sweep, sweep === undefined ? '' : limitsLine(sweep));
    },
  );
}

interface TagOptions extends CommonOptions {
  readonly remove: readonly string[];
}

function registerTag(program: Command): void {
  const command = program
    .command('tag')
    .description('add tags to a sweep, and remove some; `wattsweep list --tag` finds it by them')
    .argument('<sweep>', 'sweep, or `latest`')
    .argument('[tags...]', 'tags to add')
    .addOption(repeatedOption('--remove <tag>', 'take this tag away'));
  withServer(command).action(async (sweepId: string, add: readonly string[], options: TagOptions) => {
    const { withCoordinator } = await import('../client.js');
    const request = { sweepId: named(sweepId), add, remove: options.remove };
    const { sweep } = await withCoordinator(options, (coordinator) => coordinator.tag(request));
    await answer(options, sweep, `tags ${sweep?.tags.join(', ') || 'none'}`);
  });
}

function registerArchive(program: Command): void {
  const command = program
    .command('archive')
    .description('leave a sweep that has ended out of `list`; nothing of it is lost')
    .argument('<sweep>', 'sweep')
    .option('--undo', 'bring it back into the list');
  withServer(command).action(
    async (sweepId: string, options: CommonOptions & { readonly undo?: boolean }) => {
      const { withCoordinator } = await import('../client.js');
      const archived = options.undo !== true;
      const { sweep } = await withCoordinator(options, (coordinator) =>
        coordinator.archive(sweepId, archived),
      );
      await answer(options, sweep, archived ? 'archived' : 'in the list again');
    },
  );
}

function registerDelete(program: Command): void {
  const command = program
    .command('delete')
    .description('forget a sweep: its trials, epochs and decisions can no longer be shown or reported')
    .argument('<sweep>', 'sweep')
    .option('--force', 'also while it runs: it is stopped first')
    .addHelpText(
      'after',
      `
The ledger still tells that the sweep was, and that it was deleted; checkpoints and logs stay on the boxes, reports in
their folders. There is no way back: \`wattsweep archive\` only hides it.`,
    );
  withServer(command).action(
    async (sweepId: string, options: CommonOptions & { readonly force?: boolean }) => {
      const { withCoordinator } = await import('../client.js');
      const { print, printJson } = await import('../output.js');
      const { deleted, trials, epochs } = await withCoordinator(options, (coordinator) =>
        coordinator.delete(sweepId, options.force ?? false),
      );
      const what = `${trials} ${trials === 1 ? 'trial' : 'trials'} with ${epochs} epochs`;
      if (options.json) printJson({ sweepId, deleted, trials, epochs });
      else
        print(
          `${sweepId}: ${deleted ? `deleted, ${what}` : `is being stopped, then deleted: ${what} so far`}`,
        );
    },
  );
}
