/**
 * A search of one's own: begins in the middle of every range, then steps from the best point so far, in smaller and smaller
 * steps; a case is chosen anew now and then. Options: step (share of a range, default 0.25).
 *
 * `propose` answers the values of one point for everything that varies in `sweep` and in one of the `cases`, or null when
 * there is none. It must answer the same when it is asked the same: numbers are drawn from `seed` and `position`.
 */

/** Mulberry32: uniform in [0, 1). */
function stream(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const toUnit = ({ min, max, scale }, value) =>
  scale === 'log' ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);

function fromUnit({ min, max, scale, integer }, unit) {
  const value = scale === 'log' ? min * (max / min) ** unit : min + unit * (max - min);
  return Math.min(max, Math.max(min, integer ? Math.round(value) : Number(value.toPrecision(6))));
}

export function propose({ seed, position, sweep, cases, results, goal, options }) {
  const next = stream(seed * 1009 + position);
  const sign = goal === 'maximize' ? 1 : -1;
  const known = results.filter(({ value }) => value !== null);
  const best = known.reduce((a, b) => (a !== null && sign * a.value >= sign * b.value ? a : b), null);
  const axes = [...sweep, ...cases[Math.floor(next() * cases.length)]];
  const step = (options.step ?? 0.25) / (1 + known.length / 8);
  const point = {};
  for (const { name, domain } of axes) {
    const from = best?.parameters[name];
    if (domain.kind === 'list') {
      const stays = from !== undefined && next() < 0.7;
      point[name] = stays ? from : domain.values[Math.floor(next() * domain.values.length)];
    } else if (domain.kind === 'range') {
      const centre = typeof from === 'number' ? toUnit(domain, from) : 0.5;
      const unit = centre + (position === 0 ? 0 : step * (2 * next() - 1));
      point[name] = fromUnit(domain, Math.min(1, Math.max(0, unit)));
    }
  }
  return point;
}
