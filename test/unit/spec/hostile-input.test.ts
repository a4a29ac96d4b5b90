import { describe, expect, it } from 'vitest';
import { parseSweepFile } from '../../../services/coordinator/spec/index.js';
import { type Wanted, check, head, issuesOf } from './issues.js';

describe('a file that would keep the coordinator from everything else', () => {
  const grid = '{ l2: { min: 0, max: 1, count: 400 }, lr_peak: { min: 0.1, max: 1, count: 400 } }';
  const long = `${'l2 + '.repeat(30)}l2`;
  it.each<[string, string, ...Wanted[]]>([
    [
      'by constraints on many combinations',
      `sweep: ${grid}\nconstraints: ["${long} >= 0"]`,
      ['SPEC_TOO_LARGE', 6, 1, '160000 combinations are too many to try 157 characters'],
    ],
    [
      'by constraints on a finite space that is drawn from',
      `sweep: ${grid}\nsearch: { method: random, trials: 5 }\nconstraints: ["${long} >= 0"]`,
      ['SPEC_TOO_LARGE', 7, 1, 'at most 127388 combinations'],
    ],
    [
      'by expressions in cases that are held against each other',
      `cases:\n${`- ${grid.replace(/ }$/, `, shift: "= ${long}" }`)}\n`.repeat(2)}`,
      ['SPEC_TOO_LARGE', 5, 1, '320000 combinations'],
    ],
    [
      'by many long constraints',
      `sweep: { l2: { min: 0, max: 1 } }\nsearch: { method: random, trials: 5 }\nconstraints:\n${`- "${long} < 0"\n`.repeat(40)}`,
      ['SPEC_TOO_LARGE', 7, 1, 'have 6240 characters | at most 5000'],
    ],
  ])('%s', (_, text, ...wanted) => check([...head, text].join('\n'), wanted));
});

describe('files made to hurt', () => {
  const bomb = [
    'a0: &a0 [x,x,x,x,x,x,x,x,x]',
    ...Array.from(
      { length: 9 },
      (_, index) => `a${index + 1}: &a${index + 1} [${Array(9).fill(`*a${index}`).join(',')}]`,
    ),
  ].join('\n');
  it.each([
    ['ten megabytes', `name: ${'x'.repeat(10e6)}`, 'are allowed'],
    ['aliases of aliases', bomb, 'aliases multiply'],
    ['500,000 numbers', `a: [${'1,'.repeat(500_000)}1]`, 'more than 100000 values'],
    ['500,000 open lists', '['.repeat(500_000), 'nested'],
    ['lists in lists on a line', '- '.repeat(20_000), 'nested'],
    ['maps in maps', '{a: '.repeat(20_000), 'nested'],
    ['keys of keys', '? '.repeat(10_000), 'nested'],
    [
      '20,000 keys',
      Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n'),
      'more than 1000 keys',
    ],
    [
      '20,000 keys on a line',
      `{${Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join(',')}}`,
      'more than 1000 keys',
    ],
    [
      'a file that expands beyond what is recorded',
      [
        ...head,
        'cases:',
        `  - { l2: 0, lr_peak: &s [${Array.from({ length: 20_000 }, (_, index) => index).join(',')}] }`,
        ...Array.from({ length: 20 }, (_, index) => `  - { l2: ${index + 1}, lr_peak: *s }`),
      ].join('\n'),
      'are allowed',
    ],
  ])('%s are refused soon', (_what, text, words) => {
    const begin = performance.now();
    const [issue] = issuesOf(text);
    expect(issue?.code).toBe('SPEC_TOO_LARGE');
    expect(issue?.message).toContain(words);
    expect(performance.now() - begin).toBeLessThan(15_000);
  });

  it.each([
    ['bytes', [`name=${'x'.repeat(600_000)}`, `name=${'y'.repeat(600_000)}`], 'the overrides have'],
    ['overrides', Array.from({ length: 1_001 }, () => 'seed=1'), 'there are 1001 overrides'],
  ])('too many %s are refused', (_what, overrides, words) => {
    expect(() => parseSweepFile(head.join('\n'), { overrides })).toThrow(words);
  });

  it('10,000 values in a list are fine', () => {
    expect(
      issuesOf(
        [
          ...head,
          `sweep: { lr_peak: [${Array.from({ length: 10_000 }, (_, index) => index).join(', ')}] }`,
        ].join('\n'),
      ),
    ).toEqual([]);
  });
});
