/** How a wattage was read. One vocabulary for trainers, ledger, metrics and reports; empty text stands for none. */
export const powerMethods = [
  'nvml-counter',
  'nvml-power',
  'nvidia-smi',
  'hwmon',
  'rapl',
  'estimate',
  // Not read here at all: stated by a recipe that replays what was measured elsewhere.
  'replay',
] as const;

export type PowerMethod = (typeof powerMethods)[number];
