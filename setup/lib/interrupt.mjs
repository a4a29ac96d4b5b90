/**
 * What must be undone when the user presses Ctrl-C in the middle: children stopped, temporary folders and locks removed.
 * The handlers stand only while there is something to undo, so a program that embeds set-up keeps its own signals.
 */
import { constants } from 'node:os';

/** @type {Set<() => void>} */
const undo = new Set();
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/** @param {NodeJS.Signals} signal */
function onSignal(signal) {
  // Children first, then what they were writing into: the newest was registered last.
  for (const action of [...undo].reverse()) {
    try {
      action();
    } catch {
      // The rest must still be undone.
    }
  }
  process.exit(128 + constants.signals[signal]);
}

/**
 * @param {() => void} action synchronous; called on a signal
 * @returns {() => void} call it when there is nothing left to undo
 */
export function onInterrupt(action) {
  if (undo.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  undo.add(action);
  return () => {
    undo.delete(action);
    if (undo.size === 0) for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
