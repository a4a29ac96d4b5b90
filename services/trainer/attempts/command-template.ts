/** Fills a command's `{parameter}` places. `{{` and `}}` stand for the braces themselves. */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { WattsweepError } from '../../../proto/errors.js';
import type { ParameterValue, Parameters } from '../protocol/runner.js';

const PLACE = /\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}/g;

const plain = (value: ParameterValue): string => (typeof value === 'string' ? value : JSON.stringify(value));

/**
 * The command with every place filled. `{seed}` and `{max_epochs}` are those of the attempt unless a parameter has the
 * name. Throws PARAMETER_REFUSED for a place that nothing fills.
 */
export function fillCommand(
  command: readonly string[],
  parameters: Parameters,
  attempt: { readonly seed: number; readonly maxEpochs: number },
): string[] {
  const values: Parameters = { seed: attempt.seed, max_epochs: attempt.maxEpochs, ...parameters };
  return command.map((argument, index) =>
    fullPath(argument, index === 0).replace(PLACE, (place, name: string | undefined) => {
      if (name === undefined) return place.slice(1);
      const value = values[name];
      if (!Object.hasOwn(values, name) || value === undefined)
        throw new WattsweepError(
          'PARAMETER_REFUSED',
          `The command uses {${name}}, but the trial has no such parameter.`,
        );
      return plain(value);
    }),
  );
}

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
