/** Fills a command's `{parameter}` places, and those of what surrounds it. `{{` and `}}` stand for the braces themselves. */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import type { ParameterValue, Parameters } from '../protocol/runner.js';

const PLACE = /\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}/g;

const plain = (value: ParameterValue): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** What is filled in: a parameter of the trial goes before what the box gives under the same name. */
export type Values = Readonly<Record<string, ParameterValue>>;

/** The text with every place filled. Throws PARAMETER_REFUSED for a place that nothing fills. */
export const fillText = (text: string, values: Values, what: string): string =>
  text.replace(PLACE, (place, name: string | undefined) => {
    if (name === undefined) return place.slice(1);
    const value = values[name];
    if (!Object.hasOwn(values, name) || value === undefined)
      throw new WattsweepError(
        'PARAMETER_REFUSED',
        `The ${what} uses {${name}}, but the trial has no such parameter.`,
      );
    return plain(value);
  });

/** What `{seed}` and `{max_epochs}` are, and the parameters, which may have these names. */
export const valuesOf = (
  parameters: Parameters,
  attempt: { readonly seed: number; readonly maxEpochs: number },
): Values => ({ seed: attempt.seed, max_epochs: attempt.maxEpochs, ...parameters });

/** Where files are that a command names by a relative path: where the trainer was started, or where the program runs. */
export type SeenFrom = 'trainer' | 'program';

/** The words of a command with every place filled. Throws PARAMETER_REFUSED for a place that nothing fills. */
export const fillCommand = (
  command: readonly string[],
  values: Values,
  seenFrom: SeenFrom = 'trainer',
): string[] =>
  command.map((argument, index) =>
    fillText(seenFrom === 'trainer' ? fullPath(argument, index === 0) : argument, values, 'command'),
  );

/**
 * A file that the command names, seen from the folder in which the trainer was started, by its full path: the program
 * runs in the attempt's own folder. What holds neither `/` nor `.` (`-m`, a program on PATH) is no path.
 */
function fullPath(argument: string, isProgram: boolean): string {
  const looksLikePath = isProgram ? argument.includes('/') : /[./]/.test(argument);
  if (!looksLikePath || isAbsolute(argument)) return argument;
  const path = resolve(argument);
  return existsSync(path) ? path : argument;
}
