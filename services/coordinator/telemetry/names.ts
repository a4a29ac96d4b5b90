/** Values of labels that come from closed sets. */
import { powerMethods } from '../../../proto/energy.js';

/** The names of a closed set, complete by type. */
export const namesOf = <T extends string>(all: Readonly<Record<T, 1>>): readonly T[] =>
  Object.keys(all) as T[];

const methods: ReadonlySet<string> = new Set(powerMethods);

/** What read the power, as a label: the closed vocabulary of the contract, so that an odd trainer adds no series. */
export const methodLabel = (method: string): string => (methods.has(method) ? method : 'other');
