/** Sweep files for the tests of this folder, and what becomes of them. */
import { readFileSync } from 'node:fs';
import { parseSweepFile, SweepFileError } from '../../../services/coordinator/spec/index.js';
import type { SweepSpec } from '../../../services/coordinator/core/spec.js';

export const complete = readFileSync(new URL('complete.yaml', import.meta.url), 'utf8');

/** The shortest file, with `extra` lines behind it. */
export const short = (...extra: string[]): string =>
  [
    'name: s',
    'recipe: resnet-cifar10',
    'objective: { metric: val_accuracy }',
    'max_epochs: 90',
    ...extra,
  ].join('\n');

export const parse = (text: string, ...overrides: string[]): SweepSpec =>
  parseSweepFile(text, { overrides }).spec;
export const warnings = (text: string, ...overrides: string[]): readonly string[] =>
  parseSweepFile(text, { overrides }).warnings;

export const errorOf = (text: string, ...overrides: string[]): SweepFileError => {
  try {
    parseSweepFile(text, { file: 'a.yaml', overrides });
  } catch (error) {
    if (error instanceof SweepFileError) return error;
    throw error;
  }
  throw new Error('the file passed');
};
