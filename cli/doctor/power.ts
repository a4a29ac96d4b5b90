import { type Finding, reservation } from './finding.js';

export function checkPower(): Finding {
  return reservation('power', 'not looked at yet', '');
}
