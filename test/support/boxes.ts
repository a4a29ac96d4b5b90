/** Boxes with devices of given models, and sweeps of a number of points. */
import type { SlotRecord, TrainerInfo } from '../../services/coordinator/core/index.js';
import { trainer } from './core.js';

export const box = (
  trainerId: string,
  models: readonly string[],
  { memoryGb = 8, ...over }: Partial<TrainerInfo> & { memoryGb?: number } = {},
): TrainerInfo => {
  const slots = models.map((deviceModel, i): SlotRecord => {
    const deviceKind = deviceModel === 'cpu' ? 'cpu' : 'gpu';
    return {
      slotId: `${deviceKind}${i}`,
      deviceKind,
      deviceModel,
      deviceUuids: [],
      memoryBytes: memoryGb * 1e9,
    };
  });
  return trainer(trainerId, 1, { ...over, slots });
};
/** The axes of a sweep of so many points. */
export const points = (count: number) => [
  { name: 'x', domain: { kind: 'list' as const, values: Array.from({ length: count }, (_, i) => i) } },
];
