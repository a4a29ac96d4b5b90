/** Reads the classic Prometheus text format, strictly enough for tests. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const NUMBERS: Readonly<Record<string, number>> = { NaN: NaN, '+Inf': Infinity, '-Inf': -Infinity };

export function parseExposition(text: string): readonly Series[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labelText = '', number = ''] = LINE.exec(line) ?? [];
      const value = NUMBERS[number] ?? Number(number);
      if (name === '' || (Number.isNaN(value) && number !== 'NaN')) throw new Error(`not a sample: ${line}`);
      const labels = Object.fromEntries(
        [...labelText.matchAll(LABEL)].map(([, key, label]) => [key ?? '', label ?? '']),
      );
      return { name, labels, value };
    });
}

/** The value of the one series with this name and (at least) these labels; undefined when there is none. */
export function sample(
  series: readonly Series[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = series.filter(
    (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
  if (found.length > 1) throw new Error(`${name} ${JSON.stringify(labels)} names ${found.length} series`);
  return found[0]?.value;
}
