/** How `up --trainers N` divides this machine. */

/** CPU threads of each of `trainers` trainers on `cores` cores: as even as it goes, never none. */
export function threadsPerTrainer(cores: number, trainers: number): number[] {
  const [share, rest] = [Math.floor(cores / trainers), cores % trainers];
  return Array.from({ length: trainers }, (_, i) => Math.max(1, share + (i < rest ? 1 : 0)));
}

/** One name for one trainer, numbered ones for several. */
export function trainerNames(base: string, trainers: number): string[] {
  return trainers === 1 ? [base] : Array.from({ length: trainers }, (_, i) => `${base}-${i + 1}`);
}
