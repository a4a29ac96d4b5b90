/**
 * Starts of the same moment on the same trainer travel in one call: a call costs more than all that is in it. Each start
 * has its own answer. A trainer of a version that does not know such a call gets them one by one.
 */
import { errorRegistry, isErrorCode } from '../../../proto/errors.js';
import type {
  StartAttemptRequest,
  StartAttemptResponse,
  StartAttemptsResponse,
  StartOutcome,
} from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { Answer } from './answer.js';

export interface StartCalls {
  one(address: string, request: StartAttemptRequest): Promise<Answer<StartAttemptResponse>>;
  several(address: string, starts: readonly StartAttemptRequest[]): Promise<Answer<StartAttemptsResponse>>;
}

interface Waiting {
  readonly request: StartAttemptRequest;
  readonly tell: (answer: Answer<StartAttemptResponse>) => void;
}

const MOST_STARTS = 64;
/** Of parameters and command lines together, in characters: a message has 4 MiB at most. */
const MOST_CHARACTERS = 512 * 1024;

export class StartsTogether {
  readonly #waiting = new Map<string, Waiting[]>();
  /** Addresses of trainers that take one start a call. */
  readonly #single = new Set<string>();

  constructor(private readonly calls: StartCalls) {}

  /** Never throws. */
  start(address: string, request: StartAttemptRequest): Promise<Answer<StartAttemptResponse>> {
    if (this.#single.has(address)) return this.calls.one(address, request);
    return new Promise((tell) => {
      const waiting = this.#waiting.get(address);
      if (waiting !== undefined) waiting.push({ request, tell });
      else {
        this.#waiting.set(address, [{ request, tell }]);
        queueMicrotask(() => this.#send(address));
      }
    });
  }

  /** No trainer has this address any more. */
  forget(address: string): void {
    this.#single.delete(address);
  }

  #send(address: string): void {
    const waiting = this.#waiting.get(address) ?? [];
    this.#waiting.delete(address);
    for (const group of groupsOf(waiting))
      if (group.length === 1) this.#sendEach(address, group);
      else void this.#sendGroup(address, group);
  }

  #sendEach(address: string, group: readonly Waiting[]): void {
    for (const { request, tell } of group) void this.calls.one(address, request).then(tell);
  }

  async #sendGroup(address: string, group: readonly Waiting[]): Promise<void> {
    const answer = await this.calls.several(
      address,
      group.map(({ request }) => request),
    );
    if (answer.kind === 'refused' && answer.isUnknownCall === true) {
      this.#single.add(address);
      this.#sendEach(address, group);
      return;
    }
    for (const [i, { tell }] of group.entries())
      tell(answer.kind === 'ok' ? answerOf(answer.response.outcomes[i]) : answer);
  }
}

function* groupsOf(waiting: readonly Waiting[]): Generator<readonly Waiting[]> {
  let group: Waiting[] = [];
  let characters = 0;
  for (const one of waiting) {
    const { parametersJson, command } = one.request;
    const size = parametersJson.length + command.reduce((sum, word) => sum + word.length, 0);
    if (group.length === MOST_STARTS || (group.length > 0 && characters + size > MOST_CHARACTERS)) {
      yield group;
      group = [];
      characters = 0;
    }
    group.push(one);
    characters += size;
  }
  if (group.length > 0) yield group;
}

function answerOf(outcome: StartOutcome | undefined): Answer<StartAttemptResponse> {
  if (outcome === undefined) return { kind: 'unreachable', message: 'the trainer did not answer each start' };
  const { created, failure } = outcome;
  if (failure === undefined) return { kind: 'ok', response: { created } };
  const { message, knownTerm } = failure;
  const code = isErrorCode(failure.code) ? failure.code : 'INTERNAL';
  const { retryable } = errorRegistry[code];
  return { kind: 'refused', code, retryable, message, ...(knownTerm === undefined ? {} : { knownTerm }) };
}
