/**
 * What a recipe of images is: one file in `recipes/` that declares parameters, defaults and metrics, and says which data and
 * which network a setting means. All else (training, schedules, optimizers, checkpoints) is shared. docs/recipes.md says
 * how to add one.
 */
import type { RecipeDescriptor } from '../../../../../proto/recipes.js';
import type { Parameters } from '../../../protocol/runner.js';
import type { DataSet } from './data.js';
import type { NetworkSettings } from './networks.js';

export interface ImageRecipe {
  readonly descriptor: RecipeDescriptor;
  /** @param all Complete parameters. @throws WattsweepError PARAMETER_REFUSED, DATASET_INVALID */
  readonly data: (all: Parameters) => DataSet;
  /** @param all Complete parameters. @throws WattsweepError PARAMETER_REFUSED */
  readonly network: (all: Parameters) => NetworkSettings;
}
