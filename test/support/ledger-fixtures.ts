/**
 * Ledgers of released versions, as files: an entry a line, as it stood on the stream (`gz:` and base64 where it was
 * compressed), and beside it what the fold made of it when it was written. `README.md` says how one is added.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hasEnded, type State } from '../../services/coordinator/core/index.js';

const folder = new URL('../fixtures/ledgers/', import.meta.url);
const GZIPPED = 'gz:';

export interface LedgerFixture {
  readonly name: string;
  readonly entries: readonly Uint8Array[];
  readonly expected: Summary;
}

/** What of a state must never change, however much is added to it. */
export type Summary = Readonly<
  Record<
    string,
    {
      readonly status: string;
      readonly reason: string;
      readonly trials: Readonly<Record<string, TrialSummary>>;
    }
  >
>;

interface TrialSummary {
  readonly parameters: unknown;
  readonly repeat: number;
  readonly state: string;
  readonly reason: string;
  /** Epoch and objective of each accepted report. */
  readonly epochs: readonly string[];
  readonly decisions: readonly string[];
  readonly attempts: readonly string[];
}

export function summaryOf(state: State): Summary {
  return Object.fromEntries(
    [...state.sweeps.values()].map(({ sweepId, spec, status, reason, trials }) => [
      sweepId,
      {
        status,
        reason,
        trials: Object.fromEntries(
          [...trials.values()].map((trial) => [
            trial.trialId,
            {
              parameters: trial.parameters,
              repeat: trial.repeat,
              state: hasEnded(trial) ? trial.state : `open: ${trial.state}`,
              reason: trial.reason,
              epochs: trial.epochs.map(
                ({ epoch, metrics }) => `${epoch}: ${String(metrics[spec.objective.metric])}`,
              ),
              decisions: trial.decisions.map(
                ({ rule, action, epoch, rung, rank, n, threshold }) =>
                  `${rule} ${action} ${epoch} ${rung} ${rank} ${n} ${threshold}`,
              ),
              attempts: trial.attempts.map(
                ({ attempt, trainerId, end }) => `${attempt} on ${trainerId}: ${end?.class ?? 'open'}`,
              ),
            },
          ]),
        ),
      },
    ]),
  );
}

export function writeFixture(name: string, entries: readonly Uint8Array[], state: State): void {
  const lines = entries.map((data) => {
    const bytes = Buffer.from(data);
    return data[0] === 0x1f ? GZIPPED + bytes.toString('base64') : bytes.toString('utf8');
  });
  writeFileSync(new URL(`${name}.jsonl`, folder), `${lines.join('\n')}\n`);
  writeFileSync(
    new URL(`${name}.expected.json`, folder),
    `${JSON.stringify(summaryOf(state), undefined, 1)}\n`,
  );
}

export const readFixtures = (): LedgerFixture[] =>
  readdirSync(fileURLToPath(folder))
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => {
      const name = file.slice(0, -'.jsonl'.length);
      const lines = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n');
      return {
        name,
        entries: lines.map((line) =>
          line.startsWith(GZIPPED) ? Buffer.from(line.slice(GZIPPED.length), 'base64') : Buffer.from(line),
        ),
        expected: JSON.parse(readFileSync(new URL(`${name}.expected.json`, folder), 'utf8')) as Summary,
      };
    });
