/**
 * The program of the end-to-end sweeps: a node start instead of a TensorFlow start. Reports an epoch every SECONDS and
 * writes each into LOG with its time, so that a test sees what was trained while nobody listened.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [log, seconds, lr] = process.argv.slice(2);
const maxEpochs = Number(process.env.WATTSWEEP_MAX_EPOCHS);
for (let epoch = 1; epoch <= maxEpochs; epoch += 1) {
  await sleep(Number(seconds) * 1000);
  appendFileSync(
    log,
    `${JSON.stringify({ trial: process.env.WATTSWEEP_TRIAL, pid: process.pid, epoch, at: Date.now() })}\n`,
  );
  console.log(JSON.stringify({ epoch, score: epoch * Number(lr) }));
}
