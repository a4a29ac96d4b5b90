/** Reads `variants`: several programs that a sweep compares, as values of the parameter `variant`. */
import { recipes, type RecipeDescriptor } from '../../../proto/recipes.js';
import { canonicalJson } from '../core/search/index.js';
import type { Axes, ParameterValue, VariantSpec } from '../core/spec.js';
import { VARIANT, VARIANTS } from '../core/variants.js';
import { asParameter, checkName, doubt } from './axes.js';
import type { Path } from './document.js';
import { checkSetupTemplates, readSetup, SETUP_KEYS } from './program.js';
import { checkTemplates, templatesOf, type Declared } from './templates.js';
import { oneOf, type Problems } from './problems.js';
import type { PartialSweepFile } from './schema.js';

export interface ReadVariants {
  /** The recipe of the spec that has them. */
  readonly name: typeof VARIANTS;
  readonly command: readonly string[];
  /** Of the one recipe among them; null when there is none, or several: commands take any parameter. */
  readonly descriptor: RecipeDescriptor | null;
  readonly variants: Readonly<Record<string, VariantSpec>>;
}

/** Null when something was reported. `variants` stands in the file. */
export function readVariants(
  file: PartialSweepFile,
  content: Readonly<Record<string, unknown>>,
  problems: Problems,
): ReadVariants | null {
  const before = problems.count;
  const add = (path: Path, message: string, expected: string): void =>
    problems.add({ code: 'SPEC_VALUE', path, part: 'key', message, expected });
  for (const key of ['recipe', 'command'])
    if (content[key] !== undefined) add([key], `\`${key}\` stands beside \`variants\``, 'one of the two');
  for (const key of SETUP_KEYS)
    if (content[key] !== undefined)
      add([key], `\`${key}\` stands beside \`variants\``, 'the same key in the variant that it is for');
  const names = Object.keys(file.variants ?? {});
  if (names.length < 2) add(['variants'], 'there is nothing to compare', 'two variants or more');
  const holders = { fixed: [file.fixed], sweep: [file.sweep], cases: file.cases ?? [] };
  for (const [holder, parts] of Object.entries(holders))
    for (const part of parts)
      if (part !== undefined && Object.hasOwn(part, VARIANT))
        add([holder], `\`${VARIANT}\` is the parameter that names the variants`, 'another name');
  const search = typeof file.search === 'string' ? file.search : file.search?.method;
  if (search === 'list')
    add(['search'], 'a list of points does not say which variant runs each', 'grid, random, sobol or tpe');
  const variants: Record<string, VariantSpec> = {};
  const seen = new Map<string, string>();
  for (const [name, { recipe, command, fixed, ...keys }] of Object.entries(file.variants ?? {})) {
    const path = ['variants', name];
    if (command !== undefined && recipe !== undefined && recipe !== 'command')
      add([...path, 'command'], `\`command\` stands beside \`recipe: ${recipe}\``, 'one of the two');
    if (command === undefined && (recipe === undefined || recipe === 'command'))
      add(
        path,
        `the variant ${name} runs nothing`,
        `a recipe (${oneOf([...recipes.keys()])}), or a \`command\``,
      );
    const descriptor = recipe === undefined ? null : (recipes.get(recipe) ?? null);
    for (const [parameter, value] of Object.entries(fixed)) {
      const at = [...path, 'fixed', parameter];
      checkName(parameter, at, descriptor, problems);
      doubt(asParameter(value), at, descriptor?.parameters[parameter], problems);
      const holder = holderOf(file, parameter);
      if (holder !== null)
        add(at, `\`${parameter}\` stands under \`${holder}\`, too`, 'one place for a parameter');
    }
    const variant: VariantSpec = {
      recipe: command === undefined ? (recipe ?? '') : 'command',
      command: command?.map(String) ?? [],
      ...readSetup(keys, {
        path,
        recipe: command === undefined ? (recipe ?? '') : null,
        metric: file.objective?.metric ?? null,
        problems,
      }),
      fixed: Object.fromEntries(Object.entries(fixed).map(([key, value]) => [key, asParameter(value)])),
    };
    const text = canonicalJson(variant as unknown as ParameterValue);
    const twin = seen.get(text);
    if (twin !== undefined) add(path, `the variant ${name} is the same as ${twin}`, 'variants that differ');
    seen.set(text, name);
    variants[name] = variant;
  }
  if (problems.count > before) return null;
  const known = [...new Set(Object.values(variants).map(({ recipe }) => recipe))].flatMap(
    (recipe) => recipes.get(recipe) ?? [],
  );
  return {
    name: VARIANTS,
    command: [],
    descriptor: known.length === 1 ? (known[0] ?? null) : null,
    variants,
  };
}

function holderOf({ fixed = {}, sweep = {}, cases = [] }: PartialSweepFile, name: string): string | null {
  if (Object.hasOwn(fixed, name)) return 'fixed';
  if (Object.hasOwn(sweep, name)) return 'sweep';
  return cases.some((branch) => Object.hasOwn(branch, name)) ? 'cases' : null;
}

/** The axis that they are. */
export const variantAxis = ({ variants }: Pick<ReadVariants, 'variants'>): Axes[number] => ({
  name: VARIANT,
  domain: { kind: 'list', values: Object.keys(variants) },
});

/** Every `{name}` of a variant's command, and of what surrounds it, must be a parameter of every point, or its own. */
export function checkVariantTemplates(
  { variants }: Pick<ReadVariants, 'variants'>,
  { names, holder }: Declared,
  problems: Problems,
): void {
  for (const [name, { command, fixed, ...setup }] of Object.entries(variants)) {
    const path = ['variants', name];
    const own = { names: names.map((set) => new Set([...set, ...Object.keys(fixed)])), holder };
    checkTemplates(templatesOf(command, [...path, 'command']), 'command', own, problems);
    checkSetupTemplates(setup, own, path, problems);
  }
}
