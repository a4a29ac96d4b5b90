/**
 * `npm run bench -- training [--json] [--cells 11/32,56/32] [--rounds 5] [--threads N] [--only keras,graph]`: the
 * training step of ResNet v2 (DEPTH/BATCH) by our engine, by Keras' `fit` and by tfjs-layers, on the same TensorFlow
 * library. Every round times all contenders in turn, so that what else the machine does meets all of them; a ratio is the
 * median over the rounds, its spread the lowest and highest round. `--only` keeps the contenders whose name has one of
 * the words; `WATTSWEEP_BENCH_JIT=0` leaves out Keras with XLA, whose compiling takes minutes. Keras for Python is installed
 * into the cache folder when it is first wanted. `WATTSWEEP_BENCH_JIT=0 npm run bench -- training --only keras,graph --rounds
 * 3 --cells 11/32,11/64,11/128,56/32,56/64,56/128` takes about ten minutes on two quiet cores.
 *
 * `npm run bench -- training --epochs [--images 6400] [--validation-images 1000] [--cells 11/32] [--rounds 1]`: whole epochs
 * instead, and how long training waits for data (training/epochs.ts).
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { openEngine, setThreads } from '../../services/trainer/runner/engine.js';
import type { Cell, Contender, Prepared, StepTime } from './training/contender.js';
import { ours, peers } from './training/contenders.js';
import { geometricMean, instructions, median } from './training/numbers.js';
import { benchEpochs } from './training/epochs-table.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    cells: { type: 'string' },
    rounds: { type: 'string' },
    threads: { type: 'string', default: String(cpus().length) },
    only: { type: 'string', default: '' },
    epochs: { type: 'boolean', default: false },
    images: { type: 'string', default: '6400' },
    'validation-images': { type: 'string', default: '1000' },
  },
});

const rounds = Number(options.rounds ?? (options.epochs ? '1' : '5'));
const cells = (options.cells ?? (options.epochs ? '11/32' : '11/32,56/32')).split(',').map((text): Cell => {
  const [depth = NaN, batch = NaN] = text.split('/').map(Number);
  if (!Number.isInteger(depth) || !Number.isInteger(batch))
    throw new Error(`--cells ${text}: write DEPTH/BATCH`);
  return { depth, batch };
});
const wanted = ({ name }: Contender): boolean =>
  options.only.split(',').some((word) => name.toLowerCase().includes(word.toLowerCase()));
if (options.epochs) {
  const sizes = {
    images: Number(options.images),
    validationImages: Number(options['validation-images']),
    threads: Number(options.threads),
  };
  await benchEpochs(cells, sizes, rounds, options.json);
  process.exit();
}
const contenders = [...peers, ...ours].filter(wanted);
setThreads(Number(options.threads));
const engine = openEngine({ model: 'GPU' });

/** A block lasts about this long, so that a fast step is timed over several. */
const BLOCK_MS = 1000;

interface Measured {
  readonly contender: Contender;
  /** By round. */
  readonly times: StepTime[];
}

async function measure(cell: Cell): Promise<Measured[]> {
  const prepared: { contender: Contender; work: Prepared; steps: number; times: StepTime[] }[] = [];
  for (const contender of contenders) {
    const work = await contender.prepare(engine, cell);
    if (work.note !== undefined) console.error(`${contender.name}: ${work.note}`);
    await work.block(2);
    const steps = Math.max(1, Math.round(BLOCK_MS / (await work.block(1)).wallMs));
    prepared.push({ contender, work, steps, times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { work, steps, times } of prepared) times.push(await work.block(steps));
  }
  for (const { work } of prepared) await work.dispose();
  return prepared;
}

const wall = (times: readonly StepTime[]): number => median(times.map(({ wallMs }) => wallMs));
const processor = (times: readonly StepTime[]): number => median(times.map(({ processorMs }) => processorMs));
const shown = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
const compared = peers.filter((peer) => contenders.includes(peer));
/** Rows of a Markdown table, to paste into docs/benchmarks.md. */
const rows: string[][] = [
  [
    'network',
    'batch',
    'contender',
    'ms a step',
    'processor ms',
    ...compared.flatMap(({ name }) => [`times ${name}, wall`, 'processor']),
  ],
];
/** Ratios of each of ours to each peer, over the cells. */
const overall = new Map<string, { wall: number[]; processor: number[] }>();
for (const cell of cells) {
  const measured = await measure(cell);
  const network = `ResNet${cell.depth}v2`;
  const ratiosTo = ({ times }: Measured, peer: Contender) => {
    const other = measured.find(({ contender }) => contender === peer)?.times ?? [];
    const ratios = times.map(({ wallMs }, round) => (other[round]?.wallMs ?? NaN) / wallMs);
    return {
      peer: wall(other),
      ratio: median(ratios),
      processorRatio: processor(other) / processor(times),
      low: Math.min(...ratios),
      high: Math.max(...ratios),
    };
  };
  for (const one of measured) {
    const { name } = one.contender;
    const columns = compared.flatMap((peer) => {
      if (peer === one.contender) return ['1', '1'];
      const { ratio, low, high, processorRatio } = ratiosTo(one, peer);
      if (ours.includes(one.contender)) {
        const key = `${name} against ${peer.name}`;
        const before = overall.get(key) ?? { wall: [], processor: [] };
        overall.set(key, {
          wall: [...before.wall, ratio],
          processor: [...before.processor, processorRatio],
        });
      }
      return [`${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`, processorRatio.toFixed(2)];
    });
    const [ms, processorMs] = [shown(wall(one.times)), shown(processor(one.times))];
    rows.push([network, String(cell.batch), name, ms, processorMs, ...columns]);
    if (!options.json || !ours.includes(one.contender)) continue;
    for (const peer of compared) {
      const row = { ours: wall(one.times), unit: 'ms', ...ratiosTo(one, peer) };
      console.log(
        JSON.stringify({ name: `${network} batch ${cell.batch}, ${name} against ${peer.name}`, ...row }),
      );
    }
  }
}
if (!options.json) {
  const [head = [], ...body] = rows.map((row) => `| ${row.join(' | ')} |`);
  console.log([head, `|${'---|'.repeat(rows[0]?.length ?? 0)}`, ...body].join('\n'));
  for (const [pair, { wall: walls, processor: processors }] of overall) {
    const [mean, least] = [geometricMean(walls), Math.min(...walls)];
    console.log(
      `${pair}, ${walls.length} cells: wall, geometric mean ${mean.toFixed(2)}, least ${least.toFixed(2)}; processor ${geometricMean(processors).toFixed(2)}, ${Math.min(...processors).toFixed(2)}`,
    );
  }
  console.log(
    `TensorFlow ${engine.version} on ${engine.device.kind}: ${engine.device.name} (${instructions()}), ${options.threads} threads, ${rounds} rounds, load average ${loadavg()[0]?.toFixed(1)}`,
  );
}
