/** What a program's last words tell of its end: too little memory, or something that its box is to blame for. */

const OUT_OF_MEMORY =
  /out of memory|OOM when allocating|RESOURCE_EXHAUSTED|ResourceExhausted|CUDA_ERROR_OUT_OF_MEMORY|std::bad_alloc|Fatal process OOM|\bMemoryError\b|cannot allocate memory|allocation failed|failed to allocate/i;

const BOX_FAULTS = [
  {
    code: 'DISK_FULL',
    pattern: /No space left on device|\bENOSPC\b|Disk quota exceeded|\bEDQUOT\b/,
    what: 'found no room on the disk',
  },
  {
    code: 'DEVICE_LOST',
    pattern:
      /GPU is lost|fallen off the bus|CUDA_ERROR_(NO_DEVICE|DEVICE_UNAVAILABLE|ECC_UNCORRECTABLE|SYSTEM_NOT_READY)|no CUDA-capable device|uncorrectable ECC error|CUDA-capable device\(s\) is\/are busy or unavailable/i,
    what: 'lost its device',
  },
] as const;

export const isOutOfMemory = (words: string): boolean => OUT_OF_MEMORY.test(words);

/** The box's fault that the words tell of: elsewhere the same trial may run. */
export const boxFaultIn = (
  words: string,
): { readonly code: 'DISK_FULL' | 'DEVICE_LOST'; readonly what: string } | undefined =>
  BOX_FAULTS.find(({ pattern }) => pattern.test(words));
