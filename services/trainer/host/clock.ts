/** The host's monotonic clock in milliseconds: one clock for every process of the host, as the runner's windows use it. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
