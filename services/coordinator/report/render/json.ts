import type { Report } from '../types.js';

/** A list of numbers and nulls that `JSON.stringify` has put on lines of its own. No string holds a raw line end. */
const NUMBERS = /\[\n\s*([-+\d.eE,\snul]*?)\n\s*\]/g;

/** The report as JSON, indented, with a line end. Curves stand on one line each. */
export const renderJson = (report: Report): string =>
  `${JSON.stringify(report, null, 2).replace(NUMBERS, (_, inner: string) => `[${inner.replace(/\s+/g, ' ')}]`)}\n`;
