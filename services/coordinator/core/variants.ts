/** What a trial runs: the sweep's one recipe or command, or that of its variant. */
import { setupOf, type ProgramSetup } from './program.js';
import type { Parameters, SweepSpec } from './spec.js';

/** The parameter that tells variants apart, and the recipe of a sweep that has them. */
export const VARIANT = 'variant';
export const VARIANTS = 'variants';

type Programs = Pick<SweepSpec, 'recipe' | 'command' | 'variants' | keyof ProgramSetup>;

export interface Program {
  readonly recipe: string;
  readonly command: readonly string[];
  /** What it is given: without `variant`, which is not its business, and with what only it gets. */
  readonly parameters: Parameters;
  /** Absent: nothing surrounds it. */
  readonly setup?: ProgramSetup;
}

/** @param parameters of the trial's point */
export function programOf(programs: Programs, parameters: Parameters): Program {
  const name = parameters[VARIANT];
  const variant = typeof name === 'string' ? programs.variants?.[name] : undefined;
  const { recipe, command } = variant ?? programs;
  const setup = setupOf(variant ?? programs);
  const surrounded = setup === null ? {} : { setup };
  if (variant === undefined) return { recipe, command, parameters, ...surrounded };
  const { [VARIANT]: _name, ...shared } = parameters;
  return { recipe, command, parameters: { ...shared, ...variant.fixed }, ...surrounded };
}

/** Everything that a box must offer to run any trial of the sweep. */
export const recipesOf = ({ recipe, variants }: Pick<Programs, 'recipe' | 'variants'>): readonly string[] =>
  variants === undefined ? [recipe] : [...new Set(Object.values(variants).map((variant) => variant.recipe))];

/** Whether a box runs all of that. */
export const offersAll = (offered: readonly string[], spec: Pick<Programs, 'recipe' | 'variants'>): boolean =>
  recipesOf(spec).every((recipe) => offered.includes(recipe));

/** Of all programs, in words. */
export const programText = (spec: Pick<Programs, 'recipe' | 'variants'>): string =>
  spec.variants === undefined
    ? spec.recipe
    : Object.entries(spec.variants)
        .map(([name, { recipe, command }]) => `${name}: ${command[0] ?? recipe}`)
        .join(', ');
