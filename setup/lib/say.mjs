/**
 * Progress on stderr. On a terminal one line is redrawn with all that is under way; elsewhere (a log, CI) plain lines, a
 * piece's percentage at most every ten seconds.
 */
const LOG_EVERY_MS = 10_000;

let quiet = false;
/** @type {Map<string, string>} */
const active = new Map();
/** @type {Map<string, number>} */
const lastLogged = new Map();

/** @param {boolean} value */
export const setQuiet = (value) => void (quiet = value);

function redraw() {
  const width = (process.stderr.columns || 80) - 1;
  const text = [...active].map(([piece, state]) => `${piece}: ${state}`).join('  ');
  process.stderr.write(`\r\x1b[2K${text.slice(0, width)}`);
}

/**
 * A line that stays.
 * @param {string} text
 */
export function say(text) {
  if (quiet) return;
  if (!process.stderr.isTTY) return void process.stderr.write(text + '\n');
  process.stderr.write(`\r\x1b[2K${text}\n`);
  if (active.size > 0) redraw();
}

/**
 * @param {string} piece
 * @param {string} state what it is doing now
 * @param {number | string} [done] how much of it: a fraction 0..1, or words where the whole is not known
 */
export function progress(piece, state, done = '') {
  if (quiet) return;
  const amount = typeof done === 'number' ? `${Math.floor(Math.min(done, 1) * 100)} %` : done;
  const text = `${state} ${amount}`.trimEnd();
  if (process.stderr.isTTY) {
    active.set(piece, text);
    return redraw();
  }
  const now = Date.now();
  const begins = active.get(piece) !== state;
  active.set(piece, state);
  if (!begins && now - (lastLogged.get(piece) ?? 0) < LOG_EVERY_MS) return;
  lastLogged.set(piece, now);
  process.stderr.write(`${piece}: ${text}\n`);
}

/** @param {string} piece */
export function progressEnds(piece) {
  active.delete(piece);
  if (!quiet && process.stderr.isTTY) redraw();
}
