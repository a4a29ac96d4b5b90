/** Reads the stopping rule and checks that it can act within `max_epochs`. */
import type { StoppingSpec } from '../core/spec.js';
import { nearest, oneOf, type Problems } from './problems.js';
import type { PartialSweepFile } from './schema.js';

type Written = Exclude<NonNullable<PartialSweepFile['stopping']>, string>;
type WrittenAsha = Extract<Written, { rule: 'asha' }>;

/**
 * @param maxEpochs null when the file does not say it rightly; then nothing is compared with it
 * @param parameters names that the sweep sets
 */
export function readStopping(
  written: PartialSweepFile['stopping'],
  maxEpochs: number | null,
  parameters: ReadonlySet<string>,
  problems: Problems,
): StoppingSpec {
  switch (written) {
    case undefined:
    case 'none':
      return { rule: 'none' };
    case 'asha':
      return readAsha(
        { rule: 'asha', mode: 'stop', eta: 3, window: 1, compare_within: [], brackets: 1 },
        maxEpochs,
        parameters,
        problems,
      );
    case 'patience':
    case 'threshold': {
      const key = written === 'patience' ? 'patience: 5' : 'bound: 0.5';
      const message = `the rule ${written} needs its number`;
      problems.add({
        code: 'SPEC_MISSING_KEY',
        path: ['stopping'],
        message,
        suggestion: `{ rule: ${written}, ${key} }`,
      });
      return { rule: 'none' };
    }
    default:
      return readRule(written, maxEpochs, parameters, problems);
  }
}

function readRule(
  written: Written,
  maxEpochs: number | null,
  parameters: ReadonlySet<string>,
  problems: Problems,
): StoppingSpec {
  switch (written.rule) {
    case 'none':
      return { rule: 'none' };
    case 'asha':
      return readAsha(written, maxEpochs, parameters, problems);
    case 'patience': {
      const { patience, min_delta: minDelta, start_epoch: startEpoch } = written;
      checkReachable('start_epoch', startEpoch, maxEpochs, problems);
      if (maxEpochs !== null && startEpoch <= maxEpochs && startEpoch + patience >= maxEpochs) {
        problems.warn(['stopping', 'patience'], `with ${maxEpochs} epochs the rule never saves one`);
      }
      return { rule: 'patience', patience, minDelta, startEpoch };
    }
    case 'threshold': {
      checkReachable('from_epoch', written.from_epoch, maxEpochs, problems);
      return { rule: 'threshold', bound: written.bound, fromEpoch: written.from_epoch };
    }
  }
}

function checkReachable(key: string, epoch: number, maxEpochs: number | null, problems: Problems): void {
  if (maxEpochs === null || epoch <= maxEpochs) return;
  const message = `${key} ${epoch} lies behind max_epochs ${maxEpochs}`;
  problems.add({ code: 'SPEC_STOPPING', path: ['stopping', key], message, expected: `at most ${maxEpochs}` });
}

function readAsha(
  written: WrittenAsha,
  maxEpochs: number | null,
  parameters: ReadonlySet<string>,
  problems: Problems,
): StoppingSpec {
  const { eta, window, compare_within: compareWithin, brackets } = written;
  const fault = (key: string, message: string, expected: string): void => {
    problems.add({ code: 'SPEC_STOPPING', path: ['stopping', key], message, expected });
  };
  for (const [index, name] of compareWithin.entries()) {
    if (parameters.has(name)) continue;
    const message = `the sweep sets no parameter \`${name}\``;
    const names = [...parameters];
    const path = ['stopping', 'compare_within', index];
    problems.add({
      code: 'SPEC_VALUE',
      path,
      message,
      expected: names.length === 0 ? 'a parameter under `fixed`, `sweep` or `cases`' : oneOf(names),
      suggestion: nearest(name, names),
    });
  }
  const firstRung = written.first_rung ?? Math.max(1, window, Math.floor((maxEpochs ?? 1) / eta ** 2));
  if (window > firstRung) {
    fault(
      'window',
      `window ${window} is longer than the first rung of ${firstRung} epochs`,
      `at most ${firstRung}`,
    );
  }
  if (maxEpochs !== null && firstRung >= maxEpochs) {
    const key = written.first_rung === undefined ? 'rule' : 'first_rung';
    fault(
      key,
      `the first rung, ${firstRung} epochs, is not below max_epochs ${maxEpochs}`,
      `less than ${maxEpochs}`,
    );
  } else if (maxEpochs !== null && firstRung * eta ** (brackets - 1) >= maxEpochs) {
    const last = firstRung * eta ** (brackets - 1);
    fault(
      'brackets',
      `bracket ${brackets - 1} would start at ${last} epochs, not below max_epochs ${maxEpochs}`,
      'fewer brackets',
    );
  }
  return { rule: 'asha', firstRung, eta, window, compareWithin: [...new Set(compareWithin)], brackets };
}
