import { powerMethods } from '../../../proto/energy.js';

const known: ReadonlySet<string> = new Set(powerMethods);

/** What read the power, as a label: the closed vocabulary of the contract, so that an odd trainer adds no series. */
export const methodLabel = (method: string): string => (known.has(method) ? method : 'other');
