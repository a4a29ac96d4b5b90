import type { Command } from 'commander';
import type { DataSetFlags } from '../dataset.js';
import { parseCount, withJson } from '../options.js';

export function register(program: Command): void {
  const command = program
    .command('dataset')
    .description('make a data set of folders of pictures, for the recipe image-classifier')
    .argument('<folder>', 'one folder of PNG, JPEG or BMP files a class, or train and test with such folders')
    .requiredOption('--name <name>', 'name of the data set, as `data` in a sweep file has it')
    .option('--side <pixels>', 'pictures are cut to a square and scaled to this side', parseCount, 32)
    .option('--test-every <n>', 'without train and test: every nth picture of a class tests', parseCount, 10);
  withJson(command).action(async (folder: string, flags: DataSetFlags) => {
    const { makeDataSet } = await import('../dataset.js');
    makeDataSet(folder, flags);
  });
}
