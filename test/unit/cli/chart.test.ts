import { describe, expect, it } from 'vitest';
import { chart } from '../../../cli/chart.js';
import { drawnSteps } from '../../../cli/schedule-view.js';

const options = { format: String, ends: ['a', 'b'] } as const;
const draw = (values: readonly number[]): string[] => chart(values, options);

describe('a drawn curve', () => {
  it('fills its columns up to their values, in eighths of a row, above 0', () => {
    const lines = draw([4, 2, 0, 1]);
    expect(lines[0]).toBe('4 │█');
    expect(lines[4]).toBe('  │██');
    expect(lines[5]).toMatch(/^ {2}│██( ▁)?$/);
    expect(lines[6]).toBe('  │██ █');
    expect(lines[7]).toBe('0 │██ █');
    expect(lines[8]).toBe('  └────');
    expect(lines[9]).toBe('   a  b');
  });

  it('begins at the lowest value where all are high, so that what moves is seen', () => {
    const lines = draw([0.95, 0.85, 0.95]);
    expect(lines[0]).toBe('0.95 │█ █');
    expect(lines[7]).toMatch(/^0\.85 │█[▁▂]█$/);
  });

  it('is logarithmic, and says so, where much of it is small', () => {
    const lines = draw([1, 0.01, 0.01, 0.0001]);
    expect(lines[0]).toBe('     1 │█');
    expect(lines[3]).toMatch(/^ +│█[▁▂▃]{0,2}$/);
    expect(lines[4]).toBe('       │███');
    expect(lines[7]).toMatch(/^0\.0001 │███[▁▂]$/);
    expect(lines[9]).toContain('(logarithmic)');
    expect(draw([1, 1, 1, 0.01])[9]).not.toContain('logarithmic');
  });

  it('draws nothing for 0, and for a curve of zeros', () => {
    expect(draw([0, 1])[7]).toBe('0 │ █');
    expect(draw([0, 0]).slice(1, 7).join('')).not.toMatch(/[▁-█]/);
  });
});

describe('the steps that are drawn', () => {
  it('are spread over the run with its first and last step', () => {
    expect(drawnSteps(1000).at(0)).toBe(1);
    expect(drawnSteps(1000).at(-1)).toBe(1000);
    expect(drawnSteps(3)).toEqual([1, 2, 3]);
    expect(drawnSteps(1)).toEqual([1]);
  });
});
