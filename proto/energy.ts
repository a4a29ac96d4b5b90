/** How a wattage was read. One vocabulary for trainers, ledger, metrics and reports; empty text stands for none. */
export const powerMethods = [
  'nvml-counter',
  'nvml-power',
  'nvidia-smi',
  'hwmon',
  'rapl',
  'estimate',
] as const;

export type PowerMethod = (typeof powerMethods)[number];
