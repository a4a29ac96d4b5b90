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
    const source = readSweepFile(file, options.set);
    const { spec, warnings } = source;
    const { packCode } = await import('../code/ship.js');
    const packed = await packCode(source);
    if (options.json) {
      printJson({ valid: true, warnings, spec });
      return;
    }
    for (const warning of warnings) warn(warning);
    print(`${file} is valid: ${spec.name}, recipe ${programText(spec)}`);
    if (packed !== null)
      print(
        `code: ${packed.code.files} files, ${packed.code.bytes} bytes, ${packed.code.sha256.slice(0, 12)}`,
      );
  });
}
