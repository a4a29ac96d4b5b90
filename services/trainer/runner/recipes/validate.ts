/** Checks an attempt's parameters against a recipe's declaration and fills in the defaults. */
import { distance } from 'fastest-levenshtein';
import { WattsweepError } from '../../../../proto/errors.js';
import type { ParameterDescriptor, RecipeDescriptor } from '../../../../proto/recipes.js';
import type { ParameterValue, Parameters } from '../../protocol/runner.js';

/** @returns never: the error of a value that the recipe does not take. */
export function refuse(parameter: string, problem: string): never {
  throw new WattsweepError('PARAMETER_REFUSED', `${parameter}: ${problem}`);
}

/**
 * All parameters of the recipe, each with its value or default.
 *
 * @throws WattsweepError PARAMETER_REFUSED naming the parameter: unknown (with the nearest known name), of the wrong type,
 * out of bounds, none of the choices.
 */
export function completeParameters(
  recipe: RecipeDescriptor,
  given: Parameters,
): Record<string, ParameterValue> {
  const known = Object.keys(recipe.parameters);
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(recipe.parameters, name))
      refuse(name, `recipe ${recipe.name} has no such parameter${suggestion(name, known)}`);
  }
  return Object.fromEntries(
    Object.entries(recipe.parameters).map(([name, descriptor]) => {
      const value = given[name];
      if (value === undefined) return [name, descriptor.default as ParameterValue];
      check(name, descriptor, value);
      return [name, value];
    }),
  );
}

/** `; did you mean 'x'?` for a known word within a third of the length, or an empty text. */
export function suggestion(word: string, known: readonly string[]): string {
  const nearest = known.toSorted((a, b) => distance(word, a) - distance(word, b))[0];
  const near = nearest !== undefined && distance(word, nearest) <= Math.max(2, word.length / 3);
  return near ? `; did you mean '${nearest}'?` : '';
}

function check(name: string, descriptor: ParameterDescriptor, value: ParameterValue): void {
  const shown = JSON.stringify(value);
  switch (descriptor.type) {
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) refuse(name, `${shown} is no finite number`);
      if (descriptor.type === 'integer' && !Number.isInteger(value)) refuse(name, `${shown} is no integer`);
      if (value < (descriptor.min ?? -Infinity)) refuse(name, `${shown} is below ${descriptor.min ?? ''}`);
      if (value > (descriptor.max ?? Infinity)) refuse(name, `${shown} is above ${descriptor.max ?? ''}`);
      break;
    case 'string':
      if (typeof value !== 'string') refuse(name, `${shown} is no text`);
      break;
    case 'boolean':
      if (typeof value !== 'boolean') refuse(name, `${shown} is neither true nor false`);
      break;
    case 'object':
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        refuse(name, `${shown} is no mapping`);
      break;
    case 'list':
      if (!Array.isArray(value)) refuse(name, `${shown} is no list`);
      break;
  }
  const { choices } = descriptor;
  if (choices !== undefined && !choices.includes(value as string | number)) {
    refuse(
      name,
      `${shown} is none of ${choices.join(', ')}${suggestion(shown.replaceAll('"', ''), choices.map(String))}`,
    );
  }
}
