import type { Command } from 'commander';
import { type JsonOption, withJson, withSet } from '../options.js';

interface Options extends JsonOption {
  readonly set: readonly string[];
}

export function register(program: Command): void {
  const command = program
    .command('validate')
    .description('check a sweep file: line, column and suggestion for each fault')
    .argument('<file>', 'sweep file; - for standard input');
  withJson(withSet(command)).action(async (file: string, options: Options) => {
    const { print, printJson, warn } = await import('../output.js');
    const { readSweepFile } = await import('../sweep-file.js');
    const { programText } = await import('../../services/coordinator/core/variants.js');
    const { spec, warnings } = readSweepFile(file, options.set);
    if (options.json) {
      printJson({ valid: true, warnings, spec });
      return;
    }
    for (const warning of warnings) warn(warning);
    print(`${file} is valid: ${spec.name}, recipe ${programText(spec)}`);
  });
}
