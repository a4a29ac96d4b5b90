/** How people name trials: `t0007`, of the sweep that a flag names or of the newest, or `SWEEP/t0007`. */
export function sweepAndTrial(sweep: string, trial: string): { sweepId: string; trialId: string } {
  const slash = trial.lastIndexOf('/');
  return slash < 0
    ? { sweepId: sweep, trialId: trial }
    : { sweepId: trial.slice(0, slash), trialId: trial.slice(slash + 1) };
}
