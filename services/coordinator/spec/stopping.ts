/** Reads the stopping rule and checks that it can act within `max_epochs`. */
import type { SingleRuleSpec, StoppingSpec } from '../core/spec.js';
import { asParameter } from './axes.js';
import type { Path } from './document.js';
import { nearest, oneOf, type Problems } from './problems.js';
import type { PartialSweepFile } from './schema.js';

type Written = Exclude<NonNullable<PartialSweepFile['stopping']>, string>;
type WrittenSingle = Exclude<Written, { rule: 'composite' | 'hyperband' | 'module' | 'none' }>;
type WrittenAsha = Extract<Written, { rule: 'asha' }>;

/** What a rule is checked against. */
interface Surroundings {
  /** Null when the file does not say it rightly; then nothing is compared with it. */
  readonly maxEpochs: number | null;
  /** Names that the sweep sets. */
  readonly parameters: ReadonlySet<string>;
  /** Whether the objective has a target. */
  readonly hasTarget: boolean;
  readonly problems: Problems;
}

export function readStopping(
  written: PartialSweepFile['stopping'],
  surroundings: Surroundings,
): StoppingSpec {
  switch (written) {
    case undefined:
    case 'none':
      return { rule: 'none' };
    case 'asha':
      return readAsha(
        { rule: 'asha', mode: 'stop', eta: 3, window: 1, compare_within: [], brackets: 1 },
        ['stopping'],
        surroundings,
      );
    case 'median':
      return readRule({ rule: 'median', grace: 1, min_trials: 3 }, ['stopping'], surroundings);
    case 'energy_to_target':
      return readRule(
        { rule: 'energy_to_target', window: 5, optimism: 2, from_epoch: 1 },
        ['stopping'],
        surroundings,
      );
    case 'hyperband':
      return readHyperband(3, surroundings);
    case 'patience':
    case 'threshold': {
      const key = written === 'patience' ? 'patience: 5' : 'bound: 0.5';
      const message = `the rule ${written} needs its number`;
      surroundings.problems.add({
        code: 'SPEC_MISSING_KEY',
        path: ['stopping'],
        message,
        suggestion: `{ rule: ${written}, ${key} }`,
      });
      return { rule: 'none' };
    }
    default:
      return readWritten(written, surroundings);
  }
}

function readWritten(written: Written, surroundings: Surroundings): StoppingSpec {
  if (written.rule === 'none') return { rule: 'none' };
  if (written.rule === 'hyperband') return readHyperband(written.eta, surroundings);
  if (written.rule === 'module') {
    const { module, options } = written;
    return { rule: 'module', ref: { module, hash: '', options: asParameter(options) } };
  }
  if (written.rule !== 'composite') return readRule(written, ['stopping'], surroundings);
  const rules = written.rules.map((rule, index) => {
    const path = ['stopping', 'rules', index];
    if (rule.rule === 'asha' && rule.mode === 'promote') {
      const message = 'promotion pauses trials, which no other rule can share';
      surroundings.problems.add({
        code: 'SPEC_STOPPING',
        path: [...path, 'mode'],
        message,
        expected: '`stop`',
      });
    }
    return readRule(rule, path, surroundings);
  });
  warnOfTwins(rules, surroundings.problems);
  return { rule: 'composite', rules };
}

function readHyperband(eta: number, { maxEpochs, problems }: Surroundings): StoppingSpec {
  if (maxEpochs !== null && maxEpochs < eta) {
    const message = `with ${maxEpochs} epochs and eta ${eta} there is no round to stop at`;
    const path = ['stopping'];
    problems.add({ code: 'SPEC_STOPPING', path, message, expected: `max_epochs of at least ${eta}` });
  }
  return { rule: 'hyperband', eta };
}

/** Two rules of one name may be meant (two thresholds); two that are the same are not. */
function warnOfTwins(rules: readonly SingleRuleSpec[], problems: Problems): void {
  const texts = rules.map((rule) => JSON.stringify(rule));
  for (const [index, text] of texts.entries()) {
    if (texts.indexOf(text) < index) problems.warn(['stopping', 'rules', index], 'this rule stands twice');
  }
}

function readRule(written: WrittenSingle, at: Path, surroundings: Surroundings): SingleRuleSpec {
  const { maxEpochs, problems } = surroundings;
  switch (written.rule) {
    case 'asha':
      return readAsha(written, at, surroundings);
    case 'patience': {
      const { patience, min_delta: minDelta, start_epoch: startEpoch } = written;
      checkReachable([...at, 'start_epoch'], startEpoch, surroundings);
      if (maxEpochs !== null && startEpoch <= maxEpochs && startEpoch + patience >= maxEpochs) {
        problems.warn([...at, 'patience'], `with ${maxEpochs} epochs the rule never saves one`);
      }
      return { rule: 'patience', patience, minDelta, startEpoch };
    }
    case 'threshold': {
      checkReachable([...at, 'from_epoch'], written.from_epoch, surroundings);
      return { rule: 'threshold', bound: written.bound, fromEpoch: written.from_epoch };
    }
    case 'median': {
      const { grace, min_trials: minTrials } = written;
      checkReachable([...at, 'grace'], grace, surroundings);
      if (maxEpochs !== null && grace + 1 === maxEpochs) {
        problems.warn([...at, 'grace'], `with ${maxEpochs} epochs the rule never saves one`);
      }
      return { rule: 'median', grace, minTrials };
    }
    case 'energy_to_target': {
      const { window, optimism, from_epoch: fromEpoch } = written;
      checkReachable([...at, 'from_epoch'], fromEpoch, surroundings);
      checkReachable([...at, 'window'], window, surroundings);
      if (!surroundings.hasTarget) {
        const message = 'the rule needs a level of the objective that trials are to reach';
        const path = [...at, 'rule'];
        problems.add({ code: 'SPEC_STOPPING', path, message, expected: '`target` under `objective`' });
      }
      return { rule: 'energy_to_target', window, optimism, fromEpoch };
    }
  }
}

function checkReachable(path: Path, epoch: number, { maxEpochs, problems }: Surroundings): void {
  if (maxEpochs === null || epoch <= maxEpochs) return;
  const message = `${String(path.at(-1))} ${epoch} lies behind max_epochs ${maxEpochs}`;
  problems.add({ code: 'SPEC_STOPPING', path, message, expected: `at most ${maxEpochs}` });
}

function readAsha(
  written: WrittenAsha,
  at: Path,
  { maxEpochs, parameters, problems }: Surroundings,
): SingleRuleSpec {
  const { eta, window, compare_within: compareWithin, brackets } = written;
  const fault = (key: string, message: string, expected: string): void => {
    problems.add({ code: 'SPEC_STOPPING', path: [...at, key], message, expected });
  };
  for (const [index, name] of compareWithin.entries()) {
    if (parameters.has(name)) continue;
    const message = `the sweep sets no parameter \`${name}\``;
    const names = [...parameters];
    const path = [...at, 'compare_within', index];
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
  if (written.pareto !== undefined && written.mode === 'promote')
    fault('pareto', 'promotion ranks by the objective alone', 'mode: stop');
  const pareto = written.pareto === undefined ? {} : { pareto: [...new Set(written.pareto)] };
  const form = written.mode === 'promote' ? { mode: written.mode } : { version: 2 as const };
  return {
    rule: 'asha',
    firstRung,
    eta,
    window,
    compareWithin: [...new Set(compareWithin)],
    brackets,
    ...form,
    ...pareto,
  };
}
