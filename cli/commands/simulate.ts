import type { Command } from 'commander';
import { type JsonOption, withJson, withSet } from '../options.js';

interface Options extends JsonOption {
  readonly set: readonly string[];
  readonly curves: string;
  readonly modules?: string;
}

export function register(program: Command): void {
  const command = program
    .command('simulate')
    .description('what the stopping rule would have decided of known curves, and what it would have saved')
    .argument('<file>', 'sweep file; - for standard input')
    .requiredOption('--curves <csv>', 'trial,epoch,value[,seconds,joules], a report a line as they arrived')
    .option('--modules <dir>', 'folder of the stopping rule, where it is a module of your own');
  withJson(withSet(command)).action(async (file: string, options: Options) => {
    const { print, printJson, warn } = await import('../output.js');
    const { readSweepFile, readText } = await import('../sweep-file.js');
    const { parseCurves } = await import('../curves.js');
    const { simulate } = await import('../../services/coordinator/core/hindsight/simulation.js');
    const { describeSimulation, simulationJson } = await import('../simulation-view.js');
    const { spec, warnings } = readSweepFile(file, options.set);
    const { ModuleFolder, withModules } = await import('../../services/coordinator/modules/index.js');
    const folder = options.modules === undefined ? null : new ModuleFolder(options.modules);
    const complete = withModules({ ...spec, search: { method: 'grid' } }, folder);
    const simulation = simulate(complete, parseCurves(readText(options.curves), options.curves));
    for (const warning of warnings) warn(warning);
    if (simulation.ranksTogether) warn('the curves have no parameters, so compare_within ranks all together');
    if (options.json) printJson(simulationJson(simulation));
    else print(describeSimulation(simulation));
  });
}
