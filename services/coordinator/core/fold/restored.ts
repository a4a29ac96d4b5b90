/** What the fold does when a ledger turns out to be an older copy, or reports to be gone before they were taken. */
import type { EventOf, HeldRecord } from '../events.js';
import type { State, SweepState } from '../state.js';

const MOST_NOTICES = 20;

function notice(state: State, text: string, at: number): void {
  state.notices = [...state.notices, { text, at }].slice(-MOST_NOTICES);
}

export function restoreLedger(state: State, { above, term, at }: EventOf<'term_started'>): void {
  state.copies++;
  const text = `the ledger is an older copy: a trainer remembered term ${above}; going on with term ${term}`;
  notice(state, text, at);
  // What was lost with the ledger's end may have been lost on REPORTS, too.
  for (const sweep of state.sweeps.values()) markSilent(sweep);
}

/** @param traces what showed that NATS has had another ledger */
export const noticeLoss = (state: State, traces: string, at: number): void =>
  notice(state, `this ledger was begun with nothing in it, though NATS has had another: ${traces}`, at);

/** No attempt of this ledger begins before it stands there. */
export function noticeForgotten(
  state: State,
  { trainerId, at }: EventOf<'attempts_held'>,
  news: readonly HeldRecord[],
): void {
  const ours = news.filter(({ ledgerId }) => ledgerId === state.ledgerId);
  if (ours.length === 0) return;
  const names = ours.map(({ sweepId, trialId, attempt }) => `${sweepId}/${trialId}#${attempt}`).join(', ');
  notice(
    state,
    `the ledger is an older copy: ${trainerId} runs ${names} of a part that it does not have`,
    at,
  );
}

export function loseReports(state: State, { fromSeq, toSeq, at }: EventOf<'reports_lost'>): void {
  const which = toSeq === null ? `from ${fromSeq} on, the stream was made anew` : `${fromSeq} to ${toSeq}`;
  notice(
    state,
    `reports were removed before the ledger had taken them (${which}); their epochs are missing`,
    at,
  );
  for (const sweep of state.sweeps.values()) markSilent(sweep);
}

/** Attempts that hold a slot may have said what nobody will hear. The next word of one says that it still speaks. */
function markSilent({ active, trials }: SweepState): void {
  for (const trialId of active) {
    const attempt = trials.get(trialId)?.attempts.at(-1);
    if (attempt !== undefined) attempt.mayLackReports = true;
  }
}
