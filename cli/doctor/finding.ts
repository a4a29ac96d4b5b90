/** What a check found: fit, fit with a reservation, or not fit to run a sweep. */
export type Verdict = 'ok' | 'note' | 'bad';

export interface Finding {
  /** Short name of what was looked at. */
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  /** What to do about it; empty for `ok`. */
  readonly advice: string;
}

export const ok = (check: string, detail: string): Finding => ({ check, verdict: 'ok', detail, advice: '' });
export const reservation = (check: string, detail: string, advice: string): Finding => ({
  check,
  verdict: 'note',
  detail,
  advice,
});
export const bad = (check: string, detail: string, advice: string): Finding => ({
  check,
  verdict: 'bad',
  detail,
  advice,
});
