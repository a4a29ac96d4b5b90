/** What a sweep has spent of its budget. */
import type { UnixMs } from '../events.js';
import type { SweepState } from '../state.js';

const MS_PER_HOUR = 3.6e6;

/** Hours since the first attempt, those between an end and a reopening left out; null before the first. */
export const spentHours = ({ firstAssignedAt, endedAt, endedMs }: SweepState, at: UnixMs): number | null =>
  firstAssignedAt === null ? null : ((endedAt ?? at) - firstAssignedAt - endedMs) / MS_PER_HOUR;
