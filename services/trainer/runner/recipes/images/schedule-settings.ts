/** Checks the parameters `schedule` and `weight_decay_schedule`, and completes them. */
import type { ParameterValue, Parameters } from '../../../protocol/runner.js';
import { Given } from './given.js';
import type { OneCycle } from './one-cycle.js';
import type { Schedule } from './schedule.js';

const COMMON = ['kind', 'warmup', 'per'];
const KEYS: Readonly<Record<Schedule['kind'], readonly string[]>> = {
  constant: COMMON,
  piecewise: [...COMMON, 'at', 'factor'],
  'keras-cifar10': COMMON,
  linear: [...COMMON, 'at', 'factor'],
  cosine: [...COMMON, 'from', 'to', 'floor'],
  'quarter-cosine': [...COMMON, 'from', 'to', 'floor'],
  '1cycle': ['kind', 'definition', 'phases', 'pct_start', 'anneal', 'div', 'final_div', 'momentum'],
};

/**
 * A schedule, checked.
 *
 * @param parameter Its name, for messages.
 * @throws WattsweepError PARAMETER_REFUSED: unknown kind, key or word, a number out of range, boundaries that do not rise.
 */
export function parseSchedule(value: ParameterValue, maxEpochs: number, parameter = 'schedule'): Schedule {
  const given = new Given(parameter, value as Parameters);
  const kind = given.word('kind', Object.keys(KEYS) as Schedule['kind'][]);
  given.keys(`a ${kind} schedule`, KEYS[kind]);
  if (kind === '1cycle') return parseOneCycle(given);
  const epochsOf = (boundary: number): number => (boundary < 1 ? boundary * maxEpochs : boundary);
  const common = {
    warmup: given.number('warmup', 0, 0),
    per: given.word('per', ['step', 'epoch'], 'step'),
  };
  switch (kind) {
    case 'constant':
    case 'keras-cifar10':
      return { kind, ...common };
    case 'piecewise':
    case 'linear': {
      const at = given.numbers('at', kind === 'linear');
      at.map(epochsOf).forEach((epoch, index, all) => {
        if (index > 0 && epoch <= (all[index - 1] ?? 0)) given.refuse('at', 'the boundaries do not rise');
      });
      if (kind === 'piecewise' && typeof given.values['factor'] === 'number') {
        return { kind, ...common, at, factor: given.number('factor', NaN, Number.MIN_VALUE) };
      }
      const factor = given.numbers('factor', kind === 'linear');
      if (factor.length !== at.length) {
        const want = kind === 'piecewise' ? 'one, or one for each' : 'one for each';
        given.refuse('factor', `${factor.length} factors for ${at.length} boundaries; give ${want}`);
      }
      return { kind, ...common, at, factor };
    }
    case 'cosine':
    case 'quarter-cosine': {
      const from = given.number('from', 0, 0);
      const to = given.values['to'] === undefined ? null : given.number('to', NaN, Number.MIN_VALUE);
      if (epochsOf(from) >= (to === null ? maxEpochs : epochsOf(to)))
        given.refuse('from', 'the curve must begin before it ends');
      return { kind, ...common, from, to, floor: given.number('floor', 0, 0, 1) };
    }
  }
}

function parseOneCycle(given: Given): OneCycle {
  const definition = given.word('definition', ['pytorch', 'fastai'], 'pytorch');
  const fastai = definition === 'fastai';
  const phases = given.number('phases', 2, 2, 3);
  if (phases !== 2 && phases !== 3) given.refuse('phases', `${phases} is neither 2 nor 3`);
  if (phases === 3 && fastai) given.refuse('phases', 'fastai defines two; three are PyTorch');
  const pctStart = given.number('pct_start', fastai ? 0.25 : 0.3, 0, 1);
  if (phases === 3 && pctStart > 0.5) given.refuse('pct_start', 'three phases leave each at most 0.5');
  return {
    kind: '1cycle',
    definition,
    phases,
    pctStart,
    anneal: given.word('anneal', ['cos', 'linear'], 'cos'),
    div: given.number('div', 25, 1),
    finalDiv: given.number('final_div', fastai ? 1e5 : 1e4, 1),
    momentum: parseMomentum(given),
  };
}

function parseMomentum(given: Given): OneCycle['momentum'] {
  const value = given.values['momentum'];
  if (value === undefined) return [0.95, 0.85];
  if (value === false) return null;
  const pair: readonly unknown[] = Array.isArray(value) ? value : [];
  const [high, low] = pair;
  const valid = (item: unknown): item is number => typeof item === 'number' && item >= 0 && item < 1;
  if (!valid(high) || !valid(low) || pair.length !== 2)
    given.refuse(
      'momentum',
      `${JSON.stringify(value)} is neither false nor [high, low] with numbers below 1`,
    );
  return [high, low];
}
