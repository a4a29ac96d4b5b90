/** Writes the declarations of the recipes with a schema into `proto/gen/recipes.json`. Run by `npm run gen`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { replay } from './replay/recipe.js';
import { imageClassifier } from './images/recipes/image-classifier.js';
import { resnetCifar10 } from './images/recipes/resnet-cifar10.js';

const folder = new URL('../../../../proto/gen/', import.meta.url);
mkdirSync(folder, { recursive: true });
const all = [resnetCifar10.descriptor, imageClassifier.descriptor, replay];
writeFileSync(new URL('recipes.json', folder), `${JSON.stringify(all, undefined, 2)}\n`);
