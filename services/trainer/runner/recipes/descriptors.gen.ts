/** Writes the declarations of the recipes with a schema into `proto/gen/recipes.json`. Run by `npm run gen`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { replay } from './replay/recipe.js';
import { resnetCifar10 } from './resnet-cifar10/recipe.js';

const folder = new URL('../../../../proto/gen/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('recipes.json', folder), `${JSON.stringify([resnetCifar10, replay], undefined, 2)}\n`);
