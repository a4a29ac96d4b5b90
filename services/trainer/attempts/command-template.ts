/** Fills a command's `{parameter}` places. `{{` and `}}` stand for the braces themselves. */
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
  return command.map((argument) =>
    argument.replace(PLACE, (place, name: string | undefined) => {
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
