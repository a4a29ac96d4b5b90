/** Writes docs/errors.md from the registry in errors.ts. Run by `npm run gen`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { ExitCode, errorRegistry } from './errors.js';

const causes: Readonly<Record<keyof typeof ExitCode, string>> = {
  ok: 'Done. For a sweep: at least one trial succeeded.',
  internal: "A fault of Wattsweep's own.",
  badInput: 'The request is wrong: arguments, sweep file, token.',
  notFound: 'What was asked for does not answer or does not exist.',
  environment: 'This machine lacks something: library, port, disk, permission.',
  noResult: 'The sweep ended, but no trial succeeded.',
  interrupted: 'Ctrl-C.',
};

const exitRow = ([name, code]: [string, number]): string =>
  `| ${code} | ${causes[name as keyof typeof ExitCode]} |`;

const cell = (text: string): string => text.replaceAll('|', '\\|');

const errorRow = ([code, { status, retryable, exit, advice }]: [
  string,
  (typeof errorRegistry)[keyof typeof errorRegistry],
]): string => `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${exit} | ${cell(advice)} |`;

const text = `# Errors

An error is told by its code, never by its English. The command line prints it as \`error[CODE]: what is wrong\` with one
sentence on what to do (\`--json\`: \`{"error": {"code", "message", "advice"}}\` on stderr); gRPC carries it in the
trailer \`wattsweep-code\`; a trial that failed has it in \`status\` and in the report.

## Exit codes

| exit | cause |
|---|---|
${Object.entries(ExitCode).map(exitRow).join('\n')}

## Codes

"Again" says whether the same request may succeed later.

| code | gRPC status | again | exit | what to do |
|---|---|---|---|---|
${Object.entries(errorRegistry).map(errorRow).join('\n')}
`;

const folder = new URL('../docs/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('errors.md', folder), text);
