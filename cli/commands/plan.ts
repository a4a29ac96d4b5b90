import { type Command, InvalidArgumentError } from 'commander';
import type { Plan } from '../../services/coordinator/spec/index.js';
import { type JsonOption, type ServerOptions, withServer, withSet } from '../options.js';

interface Options extends ServerOptions, JsonOption {
  readonly set: readonly string[];
  readonly limit: number;
}

function parseLimit(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Must be a whole number from 0.');
  return Number(text);
}

export function register(program: Command): void {
  const command = program
    .command('plan')
    .description(
      'say what a sweep would run, before anything runs: trials, epochs, rungs, the first points; and with a coordinator, what that would cost on its fleet',
    )
    .argument('<file>', 'sweep file; - for standard input')
    .option('--limit <n>', 'points to list', parseLimit, 10);
  withServer(withSet(command)).action(async (file: string, options: Options) => {
    const { print, printJson, warn } = await import('../output.js');
    const plan = await planOf(file, options);
    if (options.json) {
      printJson(plan);
      return;
    }
    const { describePlan } = await import('../plan-view.js');
    for (const warning of plan.warnings) warn(warning);
    print(describePlan(plan));
  });
}

/** By the coordinator, where one is named or `up` runs one; else without costs. */
async function planOf(file: string, options: Options): Promise<Plan> {
  const { readSweepFile } = await import('../sweep-file.js');
  const { planSweep } = await import('../../services/coordinator/spec/index.js');
  const { isServerNamed, withCoordinator } = await import('../client.js');
  const { WattsweepError } = await import('../../proto/errors.js');
  // Checked here first: this side knows the file's name, and a mistake needs no coordinator to be seen.
  const { spec, yaml, warnings } = readSweepFile(file, options.set);
  const { limit, set: overrides } = options;
  const named = isServerNamed(options);
  if (named !== 'no') {
    try {
      const request = { yaml, overrides, limit };
      return (await withCoordinator(options, (coordinator) => coordinator.plan(request))) as Plan;
    } catch (error) {
      const isAway = error instanceof WattsweepError && error.code === 'COORDINATOR_UNREACHABLE';
      if (!isAway || named === 'by-hand') throw error;
    }
  }
  const plan = planSweep(spec, { limit });
  return { ...plan, warnings: [...warnings, ...plan.warnings] };
}
