/** What the coordinator's other rooms count: handed to them, so that they know no Prometheus. */
import type { Registry } from 'prom-client';
import { metrics } from '../../../proto/metrics.js';
import type { Input } from '../core/inputs.js';
import { makeCounter, makeHistogram } from './registry.js';

export type AppendResult = 'accepted' | 'fenced' | 'failed';
export type CommandName = 'start_attempt' | 'stop_attempt' | 'list_attempts' | 'drain';
export type CommandResult = 'ok' | 'refused' | 'failed';

export interface CoordinatorMetrics {
  /** One append of `events` events took `seconds`, from sending it to its acknowledgement or its failure. */
  appended(result: AppendResult, events: number, seconds: number): void;
  /** The core decided on one input. */
  decided(input: Input['type']): void;
  /** `count` reports of trainers were taken from the stream. */
  consumed(count: number): void;
  /** A command was answered. */
  commanded(command: CommandName, result: CommandResult): void;
}

const appendResults: readonly AppendResult[] = ['accepted', 'fenced', 'failed'];

export function createCoordinatorMetrics(registry: Registry): CoordinatorMetrics {
  const appends = makeCounter(registry, metrics.ledgerAppends);
  const events = makeCounter(registry, metrics.ledgerEvents);
  const duration = makeHistogram(registry, metrics.ledgerAppendDuration);
  const inputs = makeCounter(registry, metrics.inputsDecided);
  const reports = makeCounter(registry, metrics.reportsConsumed);
  const commands = makeCounter(registry, metrics.commandsSent);
  for (const result of appendResults) appends.inc({ result }, 0);
  return {
    appended(result, count, seconds) {
      appends.inc({ result });
      if (result !== 'accepted') return;
      events.inc(count);
      duration.observe(seconds);
    },
    decided: (input) => inputs.inc({ input }),
    consumed: (count) => reports.inc(count),
    commanded: (command, result) => commands.inc({ command, result }),
  };
}
