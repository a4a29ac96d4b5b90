/** What is wrong with a sweep file, as the tests of this folder expect it. */
import { expect } from 'vitest';
import type { ErrorCode } from '../../../proto/errors.js';
import { parseSweepFile, SweepFileError, type SpecIssue } from '../../../services/coordinator/spec/index.js';

export const head = [
  'name: s',
  'recipe: resnet-cifar10',
  'objective: { metric: val_accuracy }',
  'max_epochs: 9',
];

export const issuesOf = (text: string): readonly SpecIssue[] => {
  try {
    parseSweepFile(text, { file: 'a.yaml' });
  } catch (error) {
    if (error instanceof SweepFileError) return error.issues;
    throw error;
  }
  return [];
};

/** Code, line, column, part of the message or of what was expected, suggestion. */
export type Wanted = readonly [ErrorCode, number | null, number | null, string, (string | null)?];

export const check = (text: string, wanted: readonly Wanted[]): void => {
  const issues = issuesOf(text);
  expect(issues.map(({ code, line, column }) => [code, line, column])).toEqual(
    wanted.map(([code, line, column]) => [code, line, column]),
  );
  for (const [index, [, , , words, suggestion = null]] of wanted.entries()) {
    expect(`${issues[index]?.message ?? ''} | ${issues[index]?.expected ?? ''}`).toContain(words);
    expect(issues[index]?.suggestion).toBe(suggestion);
  }
};
