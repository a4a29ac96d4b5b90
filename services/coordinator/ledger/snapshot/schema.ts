/**
 * Which programs can read a snapshot: those of the same release whose state has the same fields. A snapshot only saves
 * time, so a program that is in doubt folds the ledger instead; nobody has to convert one.
 */
import { createHash } from 'node:crypto';
import { fold, initialState, type LedgerEvent } from '../../core/index.js';

/** Of the frames and of what is inside them, the memory of rules included: their fields are seen nowhere else. */
const FORMAT = 2;

/** @param release version of the package */
export const schemaOf = (release: string): string => `${FORMAT} ${release} ${fieldsOfState()}`;

/** A name for the fields that the fold gives to a state, whatever they are. */
function fieldsOfState(): string {
  const state = initialState();
  for (const event of EVENTS) fold(state, event);
  return createHash('sha256').update(fieldsOf(state)).digest('hex').slice(0, 16);
}

function fieldsOf(value: unknown): string {
  if (value instanceof Map) return `map(${[...value.values()].map(fieldsOf).join()})`;
  if (value instanceof Set) return 'set';
  if (Array.isArray(value)) return `[${value.map(fieldsOf).join()}]`;
  if (typeof value !== 'object' || value === null) return typeof value;
  return `{${Object.entries(value)
    .map(([key, item]) => `${key}:${fieldsOf(item)}`)
    .join()}}`;
}

const at = 0;
const sweepId = 's';
const trialId = 't';
const trainerId = 'b';

const EVENTS: readonly LedgerEvent[] = [
  {
    type: 'term_started',
    ledgerId: 'l',
    term: 1,
    coordinatorId: 'c',
    settings: { retries: { crashed: 0, lost: 0, preempted: 0 } },
    at,
  },
  {
    type: 'trainer_joined',
    trainer: {
      trainerId,
      instanceId: 'i',
      address: 'a',
      slots: [],
      recipes: [],
      labels: {},
      powerMethod: '',
      draining: false,
    },
    at,
  },
  {
    type: 'sweep_submitted',
    sweepId,
    spec: {
      name: 'n',
      recipe: 'r',
      command: [],
      objective: { metric: 'm', goal: 'maximize', target: null, holdEpochs: 0, holdTolerance: 0 },
      levels: [],
      maxEpochs: 1,
      fixed: {},
      sweep: [],
      cases: [[]],
      search: { method: 'grid' },
      stopping: { rule: 'none' },
      repeats: 1,
      seed: 0,
      budget: { energyWh: null, hours: null },
      resources: { gpus: null, device: null },
      maxParallel: null,
      notify: { webhook: 'http://h', on: ['end'] },
    },
    source: '',
    requestId: '',
    points: 1,
    at,
  },
  {
    type: 'trial_created',
    sweepId,
    trialId,
    index: 0,
    parameters: {},
    pointHash: '',
    repeat: 1,
    seed: 0,
    at,
  },
  {
    type: 'notification_due',
    sweepId,
    deliveryId: 'd',
    kind: 'end',
    name: 'n',
    state: 'completed',
    reason: '',
    trialsTotal: 1,
    trialsByState: {},
    best: null,
    spent: { joules: 0, hours: 0 },
    budget: { energyWh: 0, hours: 0 },
    at,
  },
  { type: 'attempt_assigned', sweepId, trialId, attempt: 1, trainerId, slotId: 'x', resumeFrom: '', at },
];
