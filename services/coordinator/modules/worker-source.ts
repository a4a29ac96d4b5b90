/**
 * What runs in the thread of a user's module. It is given as text, so that it needs no file of its own beside the built
 * coordinator. Clocks and random sources throw: a rule that is asked again must answer the same.
 */
export const workerSource = String.raw`
const { workerData } = require('node:worker_threads');
const { port, signal, url } = workerData;
const answer = (message) => {
  let text;
  try { text = JSON.stringify(message); } catch (error) { text = JSON.stringify({ fault: 'its answer is not plain data: ' + String(error) }); }
  port.postMessage(text);
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
};
const refuse = (what) => () => { throw new Error(what + ' is not there: what it gives differs from time to time'); };
Math.random = refuse('Math.random');
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) { if (given.length === 0) refuse('the clock')(); super(...given); }
  static now() { return refuse('the clock')(); }
};
performance.now = refuse('the clock');
const sessions = new Map();
const seen = ({ points }, report) => ({
  ...report,
  recent: (count) => points.slice(-count).map(({ value }) => value),
  history: (count) => points.slice(-count),
});
const take = (session, report) => {
  const trial = session.trials.get(report.trialId) ?? { points: [] };
  session.trials.set(report.trialId, trial);
  const { epoch, value, joules, seconds } = report;
  trial.points.push({ epoch, value, joules, seconds });
  return seen(trial, report);
};
const calls = {
  open({ session, context }) {
    const state = module_.init === undefined ? {} : module_.init(context);
    sessions.set(session, { state, context, trials: new Map() });
    return null;
  },
  forget({ session }) {
    sessions.delete(session);
    return null;
  },
  absorb({ session, observations }) {
    const own = sessions.get(session);
    for (const report of observations) {
      const observation = take(own, report);
      if (module_.absorb !== undefined) module_.absorb(own.state, observation, own.context);
    }
    return null;
  },
  judge({ session, observation }) {
    const own = sessions.get(session);
    return module_.judge(own.state, seen(own.trials.get(observation.trialId) ?? { points: [] }, observation), own.context);
  },
  propose: ({ request }) => module_.propose(request),
};
let module_;
import(url).then(
  (found) => {
    module_ = found;
    port.on('message', (text) => {
      try {
        const { call, ...given } = JSON.parse(text);
        const value = calls[call](given);
        if (typeof value?.then === 'function') throw new Error(call + ' answered a promise; it must answer at once');
        answer({ value: value === undefined ? null : value });
      } catch (error) {
        answer({ fault: String(error) });
      }
    });
    answer({ value: Object.keys(found).filter((name) => typeof found[name] === 'function') });
  },
  (error) => answer({ fault: String(error) }),
);
`;
