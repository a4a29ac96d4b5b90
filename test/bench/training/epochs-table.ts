/** Prints whole epochs of ours beside Keras' best, as a Markdown table or JSON lines. */
import { loadavg } from 'node:os';
import type { Cell } from './contender.js';
import type { EpochTime, Sizes } from './epochs.js';
import { epochContenders } from './epochs.js';
import { instructions, median } from './numbers.js';

/** Goals: times Keras; share of the training time. */
const FASTER = 1.6;
const WAITING = 0.02;

export async function benchEpochs(
  cells: readonly Cell[],
  sizes: Sizes,
  rounds: number,
  json: boolean,
): Promise<void> {
  const rows: string[][] = [
    [
      'network',
      'batch',
      'contender',
      's an epoch',
      'processor s',
      'times Keras, wall',
      'processor',
      'waits for data',
    ],
  ];
  for (const cell of cells) {
    const times = new Map<string, EpochTime[]>();
    for (let round = 0; round < rounds; round++) {
      for (const { name, measure } of epochContenders) {
        const found = await measure(cell, sizes);
        times.set(name, [...(times.get(name) ?? []), ...found]);
        console.error(
          `${name}: ${found.map(({ wallSeconds }) => wallSeconds.toFixed(1)).join(', ')} s an epoch`,
        );
      }
    }
    const measured = epochContenders.map(({ name, isPeer }) => {
      const own = times.get(name) ?? [];
      const waits = own.flatMap(({ dataWait }) => dataWait ?? []);
      return {
        name,
        isPeer,
        wall: median(own.map(({ wallSeconds }) => wallSeconds)),
        processor: median(own.map((time) => time.processorSeconds)),
        dataWait: waits.length === 0 ? null : median(waits),
      };
    });
    const peers = measured.filter(({ isPeer }) => isPeer);
    const best = {
      wall: Math.min(...peers.map((peer) => peer.wall)),
      processor: Math.min(...peers.map((peer) => peer.processor)),
    };
    const network = `ResNet${cell.depth}v2`;
    for (const { name, isPeer, wall, processor, dataWait } of measured) {
      const ratio = best.wall / wall;
      rows.push([
        ...[network, String(cell.batch), name, wall.toFixed(1), processor.toFixed(1)],
        ...[ratio.toFixed(2), (best.processor / processor).toFixed(2)],
        dataWait === null ? '' : `${(100 * dataWait).toFixed(2)} %`,
      ]);
      if (json && !isPeer) {
        const goals = { goal: FASTER, dataWait, dataWaitGoal: WAITING };
        console.log(
          JSON.stringify({
            name: `${network} batch ${cell.batch}, whole epochs, ${name}`,
            ...{ ours: wall, unit: 's', peer: best.wall, ratio, processorRatio: best.processor / processor },
            ...goals,
          }),
        );
      }
    }
  }
  if (json) return;
  const [head = [], ...body] = rows.map((row) => `| ${row.join(' | ')} |`);
  console.log([head, `|${'---|'.repeat(rows[0]?.length ?? 0)}`, ...body].join('\n'));
  console.log(
    `${sizes.images} training and ${sizes.validationImages} validation images an epoch; goals: ${FASTER} times Keras, waiting below ${100 * WAITING} %; ${instructions()}, ${sizes.threads} threads, load average ${loadavg()[0]?.toFixed(1)}`,
  );
}
