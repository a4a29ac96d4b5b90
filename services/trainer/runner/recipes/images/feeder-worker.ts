/** The worker thread of `feeder.ts`: fills the ring's slots in order, epoch after epoch. */
import { parentPort, workerData } from 'node:worker_threads';
import { stepsPerEpoch } from './architecture.js';
import { Augmenter, augmentKey, drawFor } from './augment.js';
import type { FeederWork } from './feeder.js';
import { SlotState } from './feeder.js';
import { pixelsOf } from './pictures.js';
import { permutation } from './random.js';

function fill(work: FeederWork): void {
  const { images, mean, augment, batchSize, seed, firstEpoch, skipBatches, lastEpoch, ring } = work;
  const augmenter = new Augmenter(images.side);
  const steps = stepsPerEpoch(images.count, batchSize);
  const pixels = pixelsOf(images.side);
  let filled = 0;
  for (let epoch = firstEpoch; epoch <= lastEpoch; epoch++) {
    const order = permutation(seed, epoch, images.count);
    const key = augmentKey(seed, epoch);
    for (let batch = epoch === firstEpoch ? skipBatches : 0; batch < steps; batch++) {
      const slot = filled++ % ring.slots;
      while (Atomics.load(ring.states, slot) !== SlotState.free)
        Atomics.wait(ring.states, slot, SlotState.full);
      const end = Math.min((batch + 1) * batchSize, images.count);
      for (let position = batch * batchSize; position < end; position++) {
        const image = order[position] ?? 0;
        const place = slot * batchSize + position - batch * batchSize;
        ring.labels[place] = images.labels[image] ?? 0;
        const draw = drawFor(key, image, images.side, augment);
        augmenter.apply(draw, augment.fill, images.pixels, image * pixels, mean, ring.images, place * pixels);
      }
      Atomics.store(ring.states, slot, SlotState.full);
      Atomics.notify(ring.states, slot);
    }
  }
}

const work = workerData as FeederWork;
try {
  parentPort?.postMessage('ready');
  fill(work);
} catch (error) {
  Atomics.store(work.ring.states, work.ring.slots, 1);
  for (let slot = 0; slot < work.ring.slots; slot++) Atomics.notify(work.ring.states, slot);
  throw error;
}
