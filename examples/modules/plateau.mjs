/**
 * A stopping rule of one's own: stops a trial whose best value has risen by less than `min_gain` over its last `epochs` epochs,
 * but never the best trial. Options: epochs (default 3), min_gain (default 0.001).
 *
 * Three functions, as a rule of Wattsweep has them. `state` is what `init` made, `context` holds goal, target, metric,
 * maxEpochs, seed, the space and `options`. The rule is told of every accepted report, in the order of arrival, and asked
 * about each once.
 */
const sign = ({ goal }) => (goal === 'maximize' ? 1 : -1);

export const init = () => ({ best: {}, leader: null });

export function absorb(state, { trialId, value }, context) {
  const signed = sign(context) * value;
  state.best[trialId] = Math.max(state.best[trialId] ?? -Infinity, signed);
  if (state.leader === null || state.best[trialId] > state.best[state.leader]) state.leader = trialId;
}

export function judge(state, { trialId, epoch, history }, context) {
  const { epochs = 3, min_gain: minGain = 0.001 } = context.options;
  const values = history(Infinity).map(({ value }) => sign(context) * value);
  if (values.length <= epochs) return [];
  const before = Math.max(...values.slice(0, -epochs));
  const gain = Math.max(...values.slice(-epochs)) - before;
  const stops = gain < minGain && state.leader !== trialId;
  return [
    {
      action: stops ? 'stop' : 'continue',
      value: gain,
      threshold: minGain,
      reason: `epoch ${epoch}: the best value rose by ${gain.toFixed(4)} over the last ${epochs} epochs`,
    },
  ];
}
