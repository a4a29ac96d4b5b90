/**
 * The one file of Prometheus metric names: code, dashboards, rules and docs/metrics.md take them from here.
 *
 * Naming: prefix `wattsweep_`, base units, `_total` on counters, `_ratio` from 0 to 1, `_info` for metadata whose value
 * is 1, `_timestamp_seconds` for moments. A hyperparameter is never a label, and `trial` is a label only on metrics of
 * trials that hold a slot, so that a sweep of a million points makes no more series than there are slots.
 */

export type MetricType = 'gauge' | 'counter' | 'histogram';

/** A Prometheus base unit, `ratio` for 0 to 1, or `none` for counts and for numbers whose unit the user chose. */
export type MetricUnit = 'seconds' | 'joules' | 'watts' | 'bytes' | 'celsius' | 'hertz' | 'ratio' | 'none';

export interface MetricDefinition {
  readonly name: `wattsweep_${string}`;
  readonly type: MetricType;
  readonly unit: MetricUnit;
  readonly labels: readonly LabelName[];
  /** One sentence; says when the series is absent. */
  readonly help: string;
  /** Upper bounds of a histogram's buckets, rising; empty for other types. */
  readonly buckets: readonly number[];
}

/** What each label holds, and what bounds the number of its values. */
export const labels = {
  action: 'What a decision did: `continue`, `stop`, `succeed`, `diverge`.',
  class: 'How an attempt ended, as in the contract: `completed`, `crashed`, `out_of_memory`, ...',
  clock: 'Which clock of a GPU: `processors` or `memory`.',
  command: 'Call of the trainer service, e.g. `start_attempt`.',
  device: 'UUID of a GPU, `cpu`, or `replay-` and the slot that replays one.',
  goal: '`maximize` or `minimize`.',
  input: "Type of an input of the coordinator's core.",
  method:
    'What read the power: `nvml-counter`, `nvml-power`, `nvidia-smi`, `hwmon`, `rapl`, `estimate`, or `replay`.',
  model: 'Model name of a device.',
  name: 'Name in the sweep file.',
  objective: 'Metric that a sweep optimises.',
  reason: 'What keeps the clocks of a GPU down: `power_cap`, `thermal`, `hardware_thermal`, `idle`, ...',
  recipe: 'Recipe of a sweep.',
  result:
    'How a call went: `ok`, `refused`, `failed`; of a ledger append: `accepted`, `fenced`, `failed`; of a message to a webhook: `delivered`, `failed`, `given_up`.',
  rule: 'Stopping rule with its version, e.g. `asha@1`.',
  slot: 'Slot within a trainer.',
  state: 'State, in lower case.',
  sweep: 'Sweep id. Open sweeps and those that ended within the hour.',
  trainer: 'Trainer id.',
  trial:
    'Trial id within the sweep. Only while the trial holds a slot, and for two scrapes (30 s) after its end.',
  version: 'Version of Wattsweep.',
} as const;

export type LabelName = keyof typeof labels;

const define =
  (type: MetricType) =>
  <const L extends readonly LabelName[]>(
    name: `wattsweep_${string}`,
    unit: MetricUnit,
    labelNames: L,
    help: string,
    buckets: readonly number[] = [],
  ) =>
    ({ name, type, unit, labels: labelNames, help, buckets }) as const;

const gauge = define('gauge');
const counter = define('counter');
const histogram = define('histogram');

/** `count` bounds, each twice the one before it. */
const doubling = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, exponent) => first * 2 ** exponent);

export const metrics = {
  // Sweeps and trials.
  sweeps: gauge('wattsweep_sweeps', 'none', ['state'], 'Sweeps in the ledger by state.'),
  sweepInfo: gauge(
    'wattsweep_sweep_info',
    'none',
    ['sweep', 'name', 'recipe', 'objective', 'goal', 'rule'],
    'What a sweep is; the value is always 1.',
  ),
  sweepSubmitted: gauge(
    'wattsweep_sweep_submitted_timestamp_seconds',
    'seconds',
    ['sweep'],
    'When the sweep was submitted, seconds since 1970.',
  ),
  trials: gauge('wattsweep_trials', 'none', ['sweep', 'state'], 'Trials by state.'),
  epochsAccepted: counter(
    'wattsweep_epochs_accepted_total',
    'none',
    ['sweep'],
    'Epochs that the ledger accepted; an epoch that was trained again counts once.',
  ),
  sweepBestObjective: gauge(
    'wattsweep_sweep_best_objective',
    'none',
    ['sweep'],
    'Best finite value of the objective over all trials and epochs; absent before the first.',
  ),
  sweepTarget: gauge(
    'wattsweep_sweep_objective_target',
    'none',
    ['sweep'],
    'Objective at which a trial succeeds early; absent for sweeps without a target.',
  ),
  sweepEnergy: counter(
    'wattsweep_sweep_energy_joules_total',
    'joules',
    ['sweep', 'method'],
    'Joules of accepted epochs, training and evaluation, by the method that read them; absent when nothing did.',
  ),
  sweepSpentEnergy: counter(
    'wattsweep_sweep_spent_energy_joules_total',
    'joules',
    ['sweep'],
    'Joules that count against the budget: retrained and unfinished epochs too; absent when nothing read them.',
  ),
  decisions: counter(
    'wattsweep_decisions_total',
    'none',
    ['sweep', 'rule', 'action'],
    'Decisions about reports, by rule and action.',
  ),
  attemptsAssigned: counter(
    'wattsweep_attempts_assigned_total',
    'none',
    ['sweep'],
    'Attempts that were given to a slot.',
  ),
  attemptsEnded: counter(
    'wattsweep_attempts_ended_total',
    'none',
    ['sweep', 'class'],
    'Attempts that ended, by how they ended.',
  ),
  epochDuration: histogram(
    'wattsweep_epoch_duration_seconds',
    'seconds',
    ['sweep'],
    'Seconds of training and evaluation of an accepted epoch.',
    doubling(0.5, 14),
  ),
  trialDuration: histogram(
    'wattsweep_trial_duration_seconds',
    'seconds',
    ['sweep'],
    "Seconds from a trial's first assignment to its end.",
    doubling(4, 16),
  ),

  // Trials that hold a slot.
  trialInfo: gauge(
    'wattsweep_trial_info',
    'none',
    ['sweep', 'trial', 'trainer', 'slot'],
    "Where a trial's present attempt runs; the value is always 1.",
  ),
  trialEpoch: gauge('wattsweep_trial_epoch', 'none', ['sweep', 'trial'], 'Last accepted epoch of the trial.'),
  trialObjective: gauge(
    'wattsweep_trial_objective',
    'none',
    ['sweep', 'trial'],
    'Objective of the last accepted epoch; absent before the first.',
  ),
  trialBestObjective: gauge(
    'wattsweep_trial_best_objective',
    'none',
    ['sweep', 'trial'],
    'Best finite objective of the trial; absent before the first.',
  ),
  trialEnergy: counter(
    'wattsweep_trial_energy_joules_total',
    'joules',
    ['sweep', 'trial', 'method'],
    "Joules of the trial's accepted epochs; absent unless every one of them was read.",
  ),
  trialStep: gauge(
    'wattsweep_trial_step',
    'none',
    ['sweep', 'trial'],
    "Optimizer steps since the trial's first; falls when an attempt resumes from an earlier checkpoint.",
  ),
  trialLoss: gauge(
    'wattsweep_trial_loss',
    'none',
    ['sweep', 'trial'],
    'Training loss at the last reported step or epoch; absent when the recipe does not say.',
  ),
  trialLearningRate: gauge(
    'wattsweep_trial_learning_rate',
    'none',
    ['sweep', 'trial'],
    'Learning rate that the last reported step or epoch used; absent when the recipe does not say.',
  ),
  trialSamplesPerSecond: gauge(
    'wattsweep_trial_samples_per_second',
    'none',
    ['sweep', 'trial'],
    'Training samples a second at the last reported step or epoch; absent when the recipe does not say.',
  ),

  // Trainers and devices.
  trainers: gauge('wattsweep_trainers', 'none', ['state'], 'Trainers in the ledger by state.'),
  trainerQuarantined: gauge(
    'wattsweep_trainer_quarantined',
    'none',
    ['trainer'],
    'Slots of a trainer in quarantine, all of them when the trainer is; 0 when nothing is quarantined.',
  ),
  attemptsHeld: gauge(
    'wattsweep_trainer_held_attempts',
    'none',
    ['trainer'],
    'Attempts that a trainer runs and this ledger never heard of.',
  ),
  slots: gauge(
    'wattsweep_slots',
    'none',
    ['trainer', 'state'],
    'Slots of trainers that are not lost: `busy`, `free`, or `withheld` while the trainer drains, is suspect or in quarantine, or holds what another ledger started.',
  ),
  deviceInfo: gauge(
    'wattsweep_device_info',
    'none',
    ['trainer', 'device', 'model'],
    'What a device is; the value is always 1.',
  ),
  devicePower: gauge(
    'wattsweep_device_power_watts',
    'watts',
    ['trainer', 'device', 'method'],
    'Power of a device; absent when nothing reads it.',
  ),
  deviceEnergy: counter(
    'wattsweep_device_energy_joules_total',
    'joules',
    ['trainer', 'device', 'method'],
    'Energy of a device since its meter started, idle time included; absent when nothing reads it.',
  ),
  deviceUtilization: gauge(
    'wattsweep_device_utilization_ratio',
    'ratio',
    ['trainer', 'device'],
    'Share of time in which the device computed; absent when it cannot be read.',
  ),
  deviceMemoryUsed: gauge(
    'wattsweep_device_memory_used_bytes',
    'bytes',
    ['trainer', 'device'],
    'Device memory in use; absent when it cannot be read.',
  ),
  deviceTemperature: gauge(
    'wattsweep_device_temperature_celsius',
    'celsius',
    ['trainer', 'device'],
    'Temperature of a device; absent when it cannot be read.',
  ),
  deviceClock: gauge(
    'wattsweep_device_clock_hertz',
    'hertz',
    ['trainer', 'device', 'clock'],
    'Clock of a GPU; absent when it cannot be read.',
  ),
  deviceThrottled: gauge(
    'wattsweep_device_throttled',
    'none',
    ['trainer', 'device', 'reason'],
    'Whether the reason keeps the clocks of a GPU down: 1 or 0; absent when it cannot be read.',
  ),
  devicePowerLimit: gauge(
    'wattsweep_device_power_limit_watts',
    'watts',
    ['trainer', 'device'],
    'Watts that a GPU may draw, as its driver enforces; absent when it cannot be read.',
  ),
  telemetryReceived: gauge(
    'wattsweep_telemetry_received_timestamp_seconds',
    'seconds',
    ['trainer'],
    "When the trainer's last telemetry arrived, seconds since 1970.",
  ),

  // The coordinator itself; every coordinator exports these, the others only the leader.
  buildInfo: gauge('wattsweep_build_info', 'none', ['version'], 'What runs; the value is always 1.'),
  leader: gauge('wattsweep_leader', 'none', [], '1 on the coordinator that leads, 0 on the others.'),
  term: gauge('wattsweep_ledger_term', 'none', [], 'Term of the ledger that this coordinator last saw.'),
  ledgerAppends: counter(
    'wattsweep_ledger_appends_total',
    'none',
    ['result'],
    'Appends to the ledger, each of one or more events.',
  ),
  ledgerEvents: counter(
    'wattsweep_ledger_events_total',
    'none',
    [],
    'Events that this coordinator appended.',
  ),
  ledgerAppendDuration: histogram(
    'wattsweep_ledger_append_duration_seconds',
    'seconds',
    [],
    'Seconds from sending an append to its acknowledgement.',
    doubling(0.0005, 13),
  ),
  inputsDecided: counter(
    'wattsweep_inputs_decided_total',
    'none',
    ['input'],
    'Inputs that the core decided on, by type.',
  ),
  reportsConsumed: counter(
    'wattsweep_reports_consumed_total',
    'none',
    [],
    'Reports of trainers taken from the stream.',
  ),
  commandsSent: counter(
    'wattsweep_commands_total',
    'none',
    ['command', 'result'],
    'Commands sent to trainers, by how the call went.',
  ),
  notifications: counter(
    'wattsweep_notifications_total',
    'none',
    ['result'],
    'Messages to webhooks: `delivered`, `failed` for each attempt that was not answered with 2xx, `given_up`.',
  ),
  telemetryBatches: counter(
    'wattsweep_telemetry_batches_total',
    'none',
    ['result'],
    'Telemetry messages taken from the stream: `ok`, or `failed` when one could not be read.',
  ),
} as const satisfies Readonly<Record<string, MetricDefinition>>;
