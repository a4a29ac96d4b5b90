/**
 * One step of the core: the events and actions that an input gives rise to. Each event is folded into the state as it
 * is emitted, so that what follows sees it.
 */
import type { LedgerEvent, UnixMs } from './events.js';
import { fold } from './fold/index.js';
import type { Action } from './inputs.js';
import type { State } from './state.js';

export class Step {
  readonly events: LedgerEvent[] = [];
  readonly actions: Action[] = [];

  constructor(
    readonly state: State,
    readonly at: UnixMs,
  ) {}

  emit(event: LedgerEvent): void {
    fold(this.state, event);
    this.events.push(event);
  }

  act(action: Action): void {
    this.actions.push(action);
  }
}
