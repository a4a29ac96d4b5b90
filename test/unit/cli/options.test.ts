import { describe, expect, it } from 'vitest';
import { collectOverride, parseCount, parseDuration, parsePort } from '../../../cli/options.js';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['4s', 4000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['90', '0s', '-1s', 's', '1d', '', '1000h'])('%j is refused', (text) => {
    expect(() => parseDuration(text)).toThrow(/Give a number with a unit|Must be above 0/);
  });
});

describe('numbers', () => {
  it.each(['0', '-1', '1.5', 'two', ''])('%j is no count', (text) =>
    expect(() => parseCount(text)).toThrow(),
  );
  it.each(['-1', '65536', 'http', ''])('%j is no port', (text) => expect(() => parsePort(text)).toThrow());
  it('0 stands for any free port', () => expect(parsePort('0')).toBe(0));
});

describe('--set', () => {
  it('collects in order and refuses what is no key=value', () => {
    expect(collectOverride('a=1', ['b=2'])).toEqual(['b=2', 'a=1']);
    expect(collectOverride('fixed.note=a=b')).toEqual(['fixed.note=a=b']);
    expect(() => collectOverride('max_epochs')).toThrow(/key=value/);
  });
});
