import { type Command, InvalidArgumentError } from 'commander';
import { type JsonOption, withJson, withSet } from '../options.js';

interface Options extends JsonOption {
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
    .description('say what a sweep would run, before anything runs: trials, epochs, rungs, the first points')
    .argument('<file>', 'sweep file; - for standard input')
    .option('--limit <n>', 'points to list', parseLimit, 10);
  withJson(withSet(command)).action(async (file: string, options: Options) => {
    const { print, printJson, warn } = await import('../output.js');
    const { readSweepFile } = await import('../sweep-file.js');
    const { planSweep } = await import('../../services/coordinator/spec/index.js');
    const { spec, warnings } = readSweepFile(file, options.set);
    const plan = planSweep(spec, { limit: options.limit });
    const all = [...warnings, ...plan.warnings];
    if (options.json) {
      printJson({ ...plan, warnings: all });
      return;
    }
    const { describePlan } = await import('../plan-view.js');
    for (const warning of all) warn(warning);
    print(describePlan(plan));
  });
}
