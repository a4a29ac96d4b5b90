/** What the coordinator's other rooms count: handed to them, so that they know no Prometheus. */
import type { Registry } from 'prom-client';
import { metrics } from '../../../proto/metrics.js';
import type { Input } from '../core/inputs.js';
import { namesOf } from './names.js';
import { makeCounter, makeHistogram } from './registry.js';

type AppendResult = 'accepted' | 'fenced' | 'failed';
type CommandName = 'start_attempt' | 'stop_attempt' | 'list_attempts' | 'drain';
type NotificationResult = 'delivered' | 'failed' | 'given_up';
type CommandResult = 'ok' | 'refused' | 'failed';

export interface CoordinatorMetrics {
  /** One append of `events` events took `seconds`, from sending it to its acknowledgement or its failure. */
  appended(result: AppendResult, events: number, seconds: number): void;
  /** The core decided on one input. */
  decided(input: Input['type']): void;
  /** `count` reports of trainers were taken from the stream. */
  consumed(count: number): void;
  /** A command was answered. */
  commanded(command: CommandName, result: CommandResult): void;
  /** A webhook has taken a message, or not this time, or it is given up. */
  notified(result: NotificationResult): void;
}

const appendResults = namesOf<AppendResult>({ accepted: 1, fenced: 1, failed: 1 });
const commandNames = namesOf<CommandName>({ start_attempt: 1, stop_attempt: 1, list_attempts: 1, drain: 1 });
const commandResults = namesOf<CommandResult>({ ok: 1, refused: 1, failed: 1 });
const notificationResults = namesOf<NotificationResult>({ delivered: 1, failed: 1, given_up: 1 });
const inputTypes = namesOf<Input['type']>({
  lead: 1,
  submit: 1,
  control: 1,
  rerun: 1,
  extend: 1,
  set_limits: 1,
  tag: 1,
  archive: 1,
  delete: 1,
  trainer_seen: 1,
  trainer_silent: 1,
  trainer_gone: 1,
  attempts_listed: 1,
  reported: 1,
  start_refused: 1,
  control_trainer: 1,
  end_unheard: 1,
  stop_held: 1,
  term_outgrown: 1,
  reports_missing: 1,
  notification_settled: 1,
  tick: 1,
});

export function createCoordinatorMetrics(registry: Registry): CoordinatorMetrics {
  const appends = makeCounter(registry, metrics.ledgerAppends);
  const events = makeCounter(registry, metrics.ledgerEvents);
  const duration = makeHistogram(registry, metrics.ledgerAppendDuration);
  const inputs = makeCounter(registry, metrics.inputsDecided);
  const reports = makeCounter(registry, metrics.reportsConsumed);
  const commands = makeCounter(registry, metrics.commandsSent);
  const notifications = makeCounter(registry, metrics.notifications);
  // Known series begin at 0, so that the first event is an increase.
  for (const result of appendResults) appends.inc({ result }, 0);
  for (const result of notificationResults) notifications.inc({ result }, 0);
  for (const input of inputTypes) inputs.inc({ input }, 0);
  for (const command of commandNames) {
    for (const result of commandResults) commands.inc({ command, result }, 0);
  }
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
    notified: (result) => notifications.inc({ result }),
  };
}
