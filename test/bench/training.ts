/**
 * `npm run bench -- training [--json] [--cells 11/32,56/32] [--rounds 5] [--threads N]`: the training step of ResNet v2
 * on the native engine, ours against tfjs-layers. Every round times all contenders in turn, so that what else the
 * machine does meets all of them; a ratio is the median over the rounds, its spread the lowest and highest round.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { openEngine, setThreads } from '../../services/trainer/runner/engine.js';
import type { Cell, Prepared } from './training/contenders.js';
import { contenders } from './training/contenders.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    cells: { type: 'string', default: '11/32,56/32' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(cpus().length) },
  },
});

const rounds = Number(options.rounds);
const cells = options.cells.split(',').map((text): Cell => {
  const [depth = NaN, batch = NaN] = text.split('/').map(Number);
  if (!Number.isInteger(depth) || !Number.isInteger(batch))
    throw new Error(`--cells ${text}: write DEPTH/BATCH`);
  return { depth, batch };
});
setThreads(Number(options.threads));
const engine = openEngine({ model: 'GPU' });

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

/** A block lasts about this long, so that a fast step is timed over several. */
const BLOCK_MS = 600;

async function timeBlock(prepared: Prepared, steps: number): Promise<number> {
  const begin = performance.now();
  for (let step = 0; step < steps; step++) {
    if (!Number.isFinite(await prepared.step())) throw new Error('a contender diverged');
  }
  return (performance.now() - begin) / steps;
}

/** Milliseconds a step, by contender and round. */
async function measure(cell: Cell): Promise<number[][]> {
  const prepared = contenders.map((contender) => contender.prepare(engine, cell));
  const steps: number[] = [];
  for (const one of prepared) {
    await timeBlock(one, 2);
    steps.push(Math.max(1, Math.round(BLOCK_MS / (await timeBlock(one, 1)))));
  }
  const times: number[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, one] of prepared.entries())
      times[index]?.push(await timeBlock(one, steps[index] ?? 1));
  }
  for (const one of prepared) one.dispose();
  return times;
}

const table = new Table({
  style: { head: [], border: [], compact: true },
  head: ['network', 'batch', 'contender', 'ms a step', 'times tfjs-layers', 'spread'],
});
for (const cell of cells) {
  const [peer = [], ...ours] = await measure(cell);
  const network = `ResNet${cell.depth}v2`;
  table.push([network, cell.batch, contenders[0]?.name ?? '', median(peer).toFixed(1), '1.00', '']);
  ours.forEach((times, index) => {
    const name = contenders[index + 1]?.name ?? '';
    const ratios = times.map((time, round) => (peer[round] ?? NaN) / time);
    const [ratio, low, high] = [median(ratios), Math.min(...ratios), Math.max(...ratios)];
    if (options.json) {
      const row = {
        name: `${network} batch ${cell.batch}, ${name}`,
        ours: median(times),
        peer: median(peer),
        ratio,
        unit: 'ms',
        low,
        high,
      };
      console.log(JSON.stringify(row));
    }
    table.push([
      network,
      cell.batch,
      name,
      median(times).toFixed(1),
      ratio.toFixed(2),
      `${low.toFixed(2)} to ${high.toFixed(2)}`,
    ]);
  });
}
if (!options.json) {
  console.log(table.toString());
  console.log(
    `TensorFlow ${engine.version} on ${engine.device.kind}: ${engine.device.name}, ${options.threads} threads, ${rounds} rounds`,
  );
}
