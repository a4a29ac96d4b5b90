/** What must hold of the ledger once a sweep has ended, whatever was done to the processes meanwhile. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { LedgerEvent, State, SweepState } from '../../services/coordinator/core/index.js';

export interface TrainedLine {
  readonly sweep: string;
  readonly trial: string;
  readonly attempt: string;
  readonly trainer: string;
  readonly epoch: number;
}

/** What the programs say that they trained, whoever heard of it. */
export function trainedLines(path: string): TrainedLine[] {
  const text = readFileSync(path, 'utf8').trim();
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as TrainedLine);
}

/** Every trial with its parameters, its end and its values: what two runs of the same sweep must agree on. */
export function results(sweep: SweepState): readonly object[] {
  return [...sweep.trials.values()]
    .map(({ parameters, state, epochs }) => ({
      parameters,
      state,
      values: epochs.map(({ epoch, metrics }) => [epoch, metrics]),
    }))
    .sort((a, b) => (JSON.stringify(a.parameters) < JSON.stringify(b.parameters) ? -1 : 1));
}

/** What was violated, a sentence each; empty when all holds. */
export function judge(
  sweepId: string,
  events: readonly LedgerEvent[],
  state: State,
  trained: readonly TrainedLine[],
): string[] {
  const faults: string[] = [];
  const sweep = state.sweeps.get(sweepId);
  if (sweep === undefined) return [`the ledger has no sweep ${sweepId}`];
  if (sweep.status !== 'completed') faults.push(`the sweep is ${sweep.status}: ${sweep.reason}`);
  if (sweep.trials.size !== sweep.points)
    faults.push(`${sweep.trials.size} of ${sweep.points} trials were made`);
  judgeOrder(sweepId, events, faults);
  const heard = new Set(trained.map((line) => keyOf(line.trial, Number(line.attempt), line.epoch)));
  for (const trial of sweep.trials.values()) {
    if (!['succeeded', 'stopped'].includes(trial.state))
      faults.push(`${trial.trialId} is ${trial.state}: ${trial.reason}`);
    const epochs = trial.epochs.map(({ epoch }) => epoch);
    const whole = trial.state === 'succeeded' ? sweep.spec.maxEpochs : epochs.length;
    if (
      !isDeepStrictEqual(
        epochs,
        Array.from({ length: whole }, (_, i) => i + 1),
      )
    )
      faults.push(`${trial.trialId} (${trial.state}) has the epochs ${epochs.join(' ')}`);
    for (const { epoch, metrics } of trial.epochs) {
      const expected = (Number(trial.parameters['lr']) * epoch) / (epoch + 2);
      if (metrics['score'] !== expected)
        faults.push(`${trial.trialId} has ${String(metrics['score'])} for epoch ${epoch}, not ${expected}`);
    }
  }
  for (const event of events) {
    if (event.type !== 'epoch_accepted' || event.sweepId !== sweepId) continue;
    if (!heard.has(keyOf(event.trialId, event.attempt, event.record.epoch)))
      faults.push(`${event.trialId}#${event.attempt} never trained epoch ${event.record.epoch}`);
  }
  for (const { info, holders } of state.trainers.values())
    for (const [slotId, ref] of holders)
      faults.push(`${slotId} of ${info.trainerId} is held by ${ref.trialId}#${ref.attempt}`);
  return faults;
}

const keyOf = (trialId: string, attempt: number, epoch: number): string => `${trialId}#${attempt} ${epoch}`;

/** Trials and attempts end once, one attempt of a trial at a time, and no word of an attempt counts after its end. */
function judgeOrder(sweepId: string, events: readonly LedgerEvent[], faults: string[]): void {
  const live = new Map<string, number>();
  const ended = new Map<string, number>();
  const accepted = new Set<string>();
  for (const event of events) {
    if (!('sweepId' in event) || event.sweepId !== sweepId) continue;
    if (event.type === 'attempt_assigned') {
      if (live.has(event.trialId)) faults.push(`${event.trialId} had two attempts at a time`);
      live.set(event.trialId, event.attempt);
    } else if (event.type === 'attempt_ended') {
      if (live.get(event.trialId) !== event.attempt)
        faults.push(`${event.trialId}#${event.attempt} ended and was not the live one`);
      live.delete(event.trialId);
    } else if (event.type === 'epoch_accepted') {
      const key = `${event.trialId} ${event.record.epoch}`;
      if (accepted.has(key)) faults.push(`epoch ${key} was accepted twice`);
      accepted.add(key);
      if (live.get(event.trialId) !== event.attempt)
        faults.push(`${key} was accepted of attempt ${event.attempt}, which did not live`);
    } else if (event.type === 'trial_ended') {
      ended.set(event.trialId, (ended.get(event.trialId) ?? 0) + 1);
    }
  }
  for (const [trialId, times] of ended) if (times !== 1) faults.push(`${trialId} ended ${times} times`);
  for (const [trialId, attempt] of live) faults.push(`${trialId}#${attempt} never ended`);
}
