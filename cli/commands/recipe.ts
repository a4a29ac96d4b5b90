import type { Command } from 'commander';
import { parseCount, parseSteps, withJson, withSet } from '../options.js';
import type { RecipeFlags } from '../recipe-view.js';

export function register(program: Command): void {
  const command = program
    .command('recipe')
    .description('look at a recipe before spending: parameters, layers, parameter counts, learning rates')
    .argument('[name]', 'recipe (default: list them)')
    .option(
      '--schedule',
      'draw learning rate, weight decay and momentum, and print them, instead of the layers',
    )
    .option(
      '--steps <list>',
      'steps (from 1) for --schedule, such as 1,1000,2000; default: where it turns',
      parseSteps,
    )
    .option('--preview <file.png>', 'write augmented training images into a picture instead')
    .option('--seed <n>', 'seed of the trial, for --preview', parseCount, 1)
    .option('--max-epochs <n>', 'epochs of the run, for --schedule', parseCount, 200);
  withJson(withSet(command)).action(async (name: string | undefined, flags: RecipeFlags) => {
    const { listRecipes, showRecipe } = await import('../recipe-view.js');
    if (name === undefined) listRecipes(flags.json ?? false);
    else await showRecipe(name, flags);
  });
}
