import { describe, expect, it } from 'vitest';
import { extensionOf } from '../../../services/coordinator/api/extension.js';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';

const FILE = `
name: study
command: [python, train.py, "--lr={lr}"]
objective: { metric: loss, goal: minimize }
max_epochs: 9
`;
const GRID = `${FILE}sweep: { lr: [0.1, 0.2] }\n`;
const RANDOM = `${FILE}sweep: { lr: { min: 0.1, max: 0.2 } }\nsearch: { method: random, trials: 5 }\n`;

const none = {
  sweepId: '',
  trials: undefined,
  repeats: undefined,
  maxEpochs: undefined,
  yaml: '',
  overrides: [],
};
const extend = (file: string, request: Partial<typeof none> | { trials?: number; maxEpochs?: number }) =>
  extensionOf(parseSweepFile(file).spec, { ...none, ...request });

describe('an extension', () => {
  it('keeps the points that were, in their places, and adds the others behind', () => {
    const { spec, change } = extend(GRID, { yaml: GRID.replace('0.2]', '0.2, 0.3]') });
    expect(spec.search).toEqual({ method: 'grid', added: [{ lr: 0.3 }] });
    expect(spec.sweep).toEqual(parseSweepFile(GRID).spec.sweep);
    expect(change).toBe('1 point added');
  });

  it('adds to what an earlier one has added', () => {
    const first = extend(GRID, { yaml: GRID.replace('0.2]', '0.2, 0.3]') }).spec;
    const second = extensionOf(first, { ...none, yaml: GRID.replace('0.2]', '0.2, 0.3, 0.4]') }).spec;
    expect(second.search.added).toEqual([{ lr: 0.3 }, { lr: 0.4 }]);
  });

  it('takes more trials of a search that draws, from the file, too; and keeps what it draws from', () => {
    expect(extend(RANDOM, { trials: 8 }).spec.search).toMatchObject({ trials: 8 });
    expect(extend(RANDOM, { yaml: RANDOM.replace('trials: 5', 'trials: 6') }).change).toBe('trials 5 -> 6');
    expect(() => extend(RANDOM, { yaml: RANDOM.replace('max: 0.2', 'max: 0.4') })).toThrow(
      /changes more.*sweep\.lr/,
    );
    expect(() => extend(RANDOM, { trials: 4 })).toThrow(/cannot become less/);
    expect(() => extend(RANDOM, { trials: 20_000_000 })).toThrow(/at most 10000000/);
  });

  it.each([
    ['hyperband', `${GRID}stopping: hyperband\n`, /hyperband/],
    ['an expression', `${FILE}sweep: { lr: [0.1, 0.2], wd: "= 1 / max_epochs" }\n`, /wd is computed/],
    ['a constraint', `${GRID}constraints: ["lr * max_epochs < 100"]\n`, /the constraint/],
  ])('refuses more epochs where %s depends on them', (_what, file, words) => {
    expect(() => extend(file, { maxEpochs: 20 })).toThrow(words);
    expect(extend(GRID, { maxEpochs: 20 }).change).toBe('max_epochs 9 -> 20');
  });

  it('refuses to compare too many points', () => {
    const large = GRID.replace('[0.1, 0.2]', '{ min: 0, max: 1, count: 20000 }');
    expect(() => extend(large, { yaml: large.replace('20000', '20001') })).toThrow(
      /20000 points are too many/,
    );
  });
});
