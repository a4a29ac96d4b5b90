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

/** What may keep the clocks of a GPU down, in the order of the bits of `nvmlClocksEventReasons` (nvml.h). */
export const throttleReasons = [
  'idle',
  'application_clocks',
  'power_cap',
  'hardware_slowdown',
  'sync_boost',
  'thermal',
  'hardware_thermal',
  'power_brake',
  'display_clocks',
] as const;

export type ThrottleReason = (typeof throttleReasons)[number];

/** The reasons whose bits are set. */
export const throttledBy = (bits: bigint): readonly ThrottleReason[] =>
  throttleReasons.filter((_reason, bit) => (bits >> BigInt(bit)) % 2n === 1n);
