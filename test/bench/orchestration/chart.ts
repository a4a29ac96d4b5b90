/** The plot of cost by number: processor microseconds of a trial and of a report, both axes logarithmic. */
import { scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { costOf, type Growth } from './growing.js';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 360, 60, 500, 30, 310];
const COLOURS = { grid: '#0072b2', random: '#d55e00' } as const;

interface Point {
  readonly count: number;
  readonly cost: number;
}

const pointsOf = ({ milestones }: Growth, what: 'trials' | 'reports'): Point[] =>
  milestones.map((milestone) => ({ count: milestone[what], cost: costOf(milestone, what) }));

export function growthPlot(growth: readonly Growth[]): string {
  const series = growth.flatMap((one) =>
    (['trials', 'reports'] as const).map((what) => ({
      method: one.method,
      what,
      points: pointsOf(one, what),
    })),
  );
  const all = series.flatMap(({ points }) => points);
  const costs = all.map(({ cost }) => cost);
  const x = scaleLog(
    [100, 10 ** Math.ceil(Math.log10(Math.max(...all.map(({ count }) => count))))],
    [LEFT, RIGHT],
  );
  const y = scaleLog([1, 10 ** Math.ceil(Math.log10(Math.max(...costs)))], [BOTTOM, TOP]);
  const path = line<Point>(
    ({ count }) => Math.round(x(count)),
    ({ cost }) => Math.round(10 * y(cost)) / 10,
  );
  const powers = (scale: typeof x): number[] =>
    scale.ticks().filter((tick) => Number.isInteger(Math.log10(tick)));
  const grid = [
    ...powers(x).map(
      (tick) =>
        `<path class="grid" d="M${String(x(tick))} ${String(TOP)}V${String(BOTTOM)}"/><text text-anchor="middle" x="${String(x(tick))}" y="${String(BOTTOM + 18)}">${tick.toLocaleString('en-US')}</text>`,
    ),
    ...powers(y).map(
      (tick) =>
        `<path class="grid" d="M${String(LEFT)} ${String(y(tick))}H${String(RIGHT)}"/><text text-anchor="end" x="${String(LEFT - 6)}" y="${String(y(tick) + 4)}">${tick.toLocaleString('en-US')}</text>`,
    ),
  ];
  const lines = series.map(({ method, what, points }, i) => {
    const last = points.at(-1);
    const dashes = what === 'trials' ? '' : ' stroke-dasharray="6 4"';
    // Labels of lines that end near one another stand apart.
    const place = y(last?.cost ?? 1) + (i < 2 ? -5 : 11);
    return `<path fill="none" stroke="${COLOURS[method]}" stroke-width="2"${dashes} d="${path(points) ?? ''}"/><text fill="${COLOURS[method]}" x="${String(x(last?.count ?? 100) + 6)}" y="${String(place)}">${method}, a ${what.slice(0, -1)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(HEIGHT)}" role="img" aria-label="Processor time of a trial and of a report, by how many the sweep has">
<style>text { font: 12px sans-serif; } .grid { stroke: #dadde0; }</style>
<rect width="${String(WIDTH)}" height="${String(HEIGHT)}" fill="#fff"/>
<text x="8" y="16">processor µs each, in a sweep of so many, ASHA</text>
${grid.join('\n')}
<text text-anchor="end" x="${String(RIGHT)}" y="${String(BOTTOM + 36)}">trials or reports of the sweep</text>
${lines.join('\n')}
</svg>
`;
}
