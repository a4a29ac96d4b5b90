/** A curve as lines of text, for a terminal. */

const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const HEIGHT = 8;

export interface ChartOptions {
  /** Writes a value for the axis. */
  readonly format: (value: number) => string;
  /** Below the two ends of the curve. */
  readonly ends: readonly [string, string];
}

/**
 * One column for each value, in eight rows. The axis begins at 0; at the lowest value, where that is above half the highest
 * one; and it is logarithmic, and says so, where more than a quarter of the values lie between 0 and a twentieth of the
 * highest.
 *
 * @param values At least two, finite, none below 0.
 */
export function chart(values: readonly number[], { format, ends }: ChartOptions): string[] {
  const highest = Math.max(...values);
  const small = values.filter((value) => value > 0 && value < highest / 20);
  const isLogarithmic = small.length > values.length / 4;
  const positive = Math.min(...values.filter((value) => value > 0));
  const lowest = isLogarithmic || Math.min(...values) > highest / 2 ? positive : 0;
  const scale = isLogarithmic ? Math.log : (value: number) => value;
  // The axis' own value stands a little above it where it is not 0, so that it differs from nothing.
  const heightOf = (value: number): number =>
    value < lowest || value === 0
      ? 0
      : 0.02 + (0.98 * (scale(value) - scale(lowest))) / (scale(highest) - scale(lowest));
  const eighths = values.map((value) => Math.round(heightOf(value) * HEIGHT * 8));
  const labels = [format(highest), format(lowest)];
  const margin = Math.max(...labels.map((label) => label.length));
  const lines = Array.from({ length: HEIGHT }, (_, row) => {
    const below = (HEIGHT - 1 - row) * 8;
    const blocks = eighths.map((height) => BLOCKS[Math.min(8, Math.max(0, height - below))]).join('');
    const label = row === 0 ? labels[0] : row === HEIGHT - 1 ? labels[1] : '';
    return `${(label ?? '').padStart(margin)} │${blocks}`.trimEnd();
  });
  const [first, last] = ends;
  const between = ' '.repeat(Math.max(1, values.length - first.length - last.length));
  const remark = isLogarithmic ? ' (logarithmic)' : '';
  return [
    ...lines,
    `${' '.repeat(margin)} └${'─'.repeat(values.length)}`,
    `${' '.repeat(margin + 2)}${first}${between}${last}${remark}`,
  ];
}
