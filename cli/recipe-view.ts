/** What a recipe would do with given parameters, from its pure modules: nothing is trained and no engine is loaded. */
import { writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { WattsweepError } from '../proto/errors.js';
import { type RecipeDescriptor, recipes } from '../proto/recipes.js';
import { nearest } from '../services/coordinator/spec/problems.js';
import type { ParameterValue, Parameters } from '../services/trainer/protocol/runner.js';
import {
  type Architecture,
  type ParameterLayer,
  layersByKind,
  parameterCount,
} from '../services/trainer/runner/recipes/images/architecture.js';
import type { ImageRecipe } from '../services/trainer/runner/recipes/images/image-recipe.js';
import { imageClassifier } from '../services/trainer/runner/recipes/images/recipes/image-classifier.js';
import { resnetCifar10 } from '../services/trainer/runner/recipes/images/recipes/resnet-cifar10.js';
import { type RecipeSummary, summarize } from '../services/trainer/runner/recipes/images/summary.js';
import { formatParameter } from './format.js';
import type { JsonOption } from './options.js';
import { print, printJson, table } from './output.js';
import { drawnSteps, showSchedule } from './schedule-view.js';

const imageRecipes = [resnetCifar10, imageClassifier];

/** Flags of `recipe`, as commander hands them over. */
export interface RecipeFlags extends JsonOption {
  readonly set: readonly string[];
  readonly schedule?: boolean;
  readonly maxEpochs: number;
  readonly steps?: readonly number[];
  /** File to write augmented pictures into. */
  readonly preview?: string;
  readonly seed: number;
}

export function listRecipes(json: boolean): void {
  const all = [...recipes.values()];
  if (json) printJson({ recipes: all });
  else
    print(
      table(
        [{ title: 'RECIPE' }, { title: 'WHAT' }],
        all.map((recipe) => [recipe.name, recipe.description]),
      ),
    );
}

export async function showRecipe(name: string, flags: RecipeFlags): Promise<void> {
  const descriptor = recipes.get(name);
  if (descriptor === undefined) {
    const names = [...recipes.keys()];
    const near = names.find((one) => one.startsWith(name)) ?? nearest(name, names);
    const meant = near === null ? '' : `; did you mean "${near}"?`;
    throw new WattsweepError(
      'SPEC_UNKNOWN_RECIPE',
      `there is no recipe "${name}"; there are ${names.join(', ')}${meant}`,
    );
  }
  const given = parseSet(flags.set);
  const recipe = imageRecipes.find((image) => image.descriptor.name === name);
  if (recipe === undefined) {
    showParameters(descriptor, given, flags.json ?? false);
    return;
  }
  const summary = summarize(given, flags.maxEpochs, flags.steps, recipe);
  if (flags.preview !== undefined) {
    await writePreview(flags.preview, recipe, given, flags);
  } else if (flags.schedule) {
    if (flags.json) printJson(summary.schedule);
    else {
      const drawn = summarize(given, flags.maxEpochs, drawnSteps(summary.totalSteps), recipe).schedule;
      showSchedule(summary, drawn, flags.maxEpochs);
    }
  } else showArchitecture(descriptor, given, summary, flags.json ?? false);
}

/** `key=value` pairs; a value is read as YAML, as in the sweep file. */
function parseSet(set: readonly string[]): Parameters {
  return Object.fromEntries(
    set.map((entry) => {
      const at = entry.indexOf('=');
      return [entry.slice(0, at), parse(entry.slice(at + 1)) as ParameterValue];
    }),
  );
}

function showParameters(descriptor: RecipeDescriptor, given: Parameters, json: boolean): void {
  if (json) printJson({ ...descriptor, given });
  else print(parameterTable(descriptor, given));
}

function parameterTable(descriptor: RecipeDescriptor, given: Parameters): string {
  const rows = Object.entries(descriptor.parameters).map(([name, parameter]) => [
    name,
    formatParameter(given[name] ?? parameter.default),
    parameter.choices?.join(', ') ?? `${parameter.type}${bounds(parameter.min, parameter.max)}`,
  ]);
  return table([{ title: 'PARAMETER' }, { title: 'VALUE', align: 'right' }, { title: 'ALLOWED' }], rows);
}

const bounds = (min: number | undefined, max: number | undefined): string =>
  min === undefined || max === undefined ? '' : ` ${min} to ${max}`;

function showArchitecture(
  descriptor: RecipeDescriptor,
  given: Parameters,
  summary: RecipeSummary,
  json: boolean,
): void {
  const { architecture } = summary;
  const kinds = layersByKind(architecture);
  const layers = Object.values(kinds).reduce((sum, count) => sum + count, 0);
  const { trainable, nonTrainable, forwardMacs, stepsPerEpoch } = summary;
  if (json) {
    printJson({
      recipe: descriptor.name,
      network: architecture.name,
      trainable,
      nonTrainable,
      layers,
      layersByKind: kinds,
      stepsPerEpoch,
      forwardMacs,
    });
    return;
  }
  print(parameterTable(descriptor, given));
  print('');
  print(layerTable(architecture));
  print('');
  const count = (n: number): string => n.toLocaleString('en');
  print(
    `${architecture.name}: ${architecture.layers.length} layers with parameters, ${layers} as Keras counts them`,
  );
  print(`${count(trainable)} trainable parameters, ${count(nonTrainable)} moving statistics`);
  print(`${count(forwardMacs)} multiply-accumulates an image, forward`);
  print(`${count(stepsPerEpoch)} steps an epoch`);
}

function layerTable(architecture: Architecture): string {
  const rows = architecture.layers.map((layer) => [
    layer.name,
    describe(layer),
    layer.kind === 'dense' ? String(layer.outFeatures) : `${layer.side}x${layer.side}x${channelsOf(layer)}`,
    parameterCount(layer).toLocaleString('en'),
  ]);
  return table(
    [
      { title: 'LAYER' },
      { title: 'KIND' },
      { title: 'OUTPUT', align: 'right' },
      { title: 'PARAMETERS', align: 'right' },
    ],
    rows,
  );
}

const channelsOf = (layer: Exclude<ParameterLayer, { kind: 'dense' }>): number =>
  layer.kind === 'conv' ? layer.outChannels : layer.channels;

function describe(layer: ParameterLayer): string {
  switch (layer.kind) {
    case 'conv':
      return `conv ${layer.kernel}x${layer.kernel}${layer.stride > 1 ? ` /${layer.stride}` : ''} ${layer.inChannels}>${layer.outChannels}`;
    case 'batch-norm':
      return 'batch norm';
    case 'dense':
      return `dense ${layer.inFeatures}>${layer.outFeatures}, softmax`;
  }
}

/** The picture goes to the file, and where it is to the person. */
async function writePreview(
  path: string,
  recipe: ImageRecipe,
  parameters: Parameters,
  flags: RecipeFlags,
): Promise<void> {
  const { preview } = await import('../services/trainer/runner/recipes/images/preview.js');
  const { PNG } = await import('pngjs');
  const { width, height, pixels } = preview(recipe, parameters, flags.maxEpochs, flags.seed);
  const png = Object.assign(new PNG({ width, height }), { data: Buffer.from(pixels) });
  const bytes = PNG.sync.write(png, { colorType: 2, inputColorType: 2, inputHasAlpha: false });
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw new WattsweepError('FILE_UNWRITABLE', `${path}: ${(error as Error).message}`);
  }
  if (flags.json) printJson({ preview: path, width, height });
  else print(`${path}: each row an image and what its first epochs make of it (seed ${flags.seed})`);
}
