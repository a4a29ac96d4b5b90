/** The decisions about a trial as sentences. */
import type { Decision, ExplainTrialResponse } from '../proto/gen/wattsweep/v1/coordinator.js';
import { formatObjective, formatParameter } from './format.js';
import { parametersOf, trialStateName } from './sweep-view.js';

export function explanation(answer: ExplainTrialResponse): string {
  const { trial, decisions, history } = answer;
  const lines: string[] = [];
  if (trial !== undefined) {
    const parameters = Object.entries(parametersOf(trial)).map(
      ([name, value]) => `${name}=${formatParameter(value)}`,
    );
    lines.push(
      `${trial.trialId} ${trialStateName(trial.state)}${trial.reason === '' ? '' : `: ${trial.reason}`}`,
    );
    lines.push(`  ${parameters.join(' ')}`);
  }
  lines.push('', 'Decisions');
  if (decisions.length === 0) lines.push('  none: no rule has looked at it');
  for (const decision of decisions) lines.push(`  ${sentence(decision)}`);
  if (history.length > 0) lines.push('', 'History', ...history.map((line) => `  ${line}`));
  return lines.join('\n');
}

/** `epoch 4, asha@1 at rung 4: stop. 0.3120 is rank 6 of 9; the threshold is 0.4010. REASON` */
export function sentence(decision: Decision): string {
  const rung = decision.rung === undefined ? '' : ` at rung ${decision.rung}`;
  const rank =
    decision.rank === undefined || decision.n === undefined ? null : `rank ${decision.rank} of ${decision.n}`;
  const compared = [
    ...(decision.value === undefined ? [] : [formatObjective(decision.value)]),
    ...(rank === null ? [] : [`is ${rank}`]),
  ].join(' ');
  const threshold =
    decision.threshold === undefined ? '' : `the threshold is ${formatObjective(decision.threshold)}`;
  const facts = [compared, threshold].filter((part) => part !== '').join('; ');
  return [
    `epoch ${decision.epoch}, ${decision.rule}${rung}: ${decision.action}.`,
    ...(facts === '' ? [] : [`${facts}.`]),
    decision.reason,
  ].join(' ');
}
