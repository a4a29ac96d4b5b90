import type { Report } from '../types.js';

/** The report as JSON, indented, with a line end. */
export const renderJson = (report: Report): string => `${JSON.stringify(report, null, 2)}\n`;
