/**
 * Flags that several commands share, and the reading of their values. A value that cannot be read is refused here, with
 * the flag's name, so that everything behind gets complete and typed options.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { resolve } from 'node:path';

export const DEFAULT_DATA_DIR = '.wattsweep';
export const DEFAULT_PORTS = { nats: 4722, grpc: 7722, http: 7723 } as const;

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 };

/** `90s`, `1.5m`, `500ms`, `2h` to milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)$/.exec(text.trim());
  const unit = UNITS_MS[match?.[2] ?? ''];
  if (!match || unit === undefined)
    throw new InvalidArgumentError('Give a number with a unit: 500ms, 90s, 5m, 2h.');
  const ms = Math.round(Number(match[1]) * unit);
  if (ms <= 0 || ms > 2 ** 31 - 1) throw new InvalidArgumentError('Must be above 0 and below 24 days.');
  return ms;
}

/** A flag that takes a duration; its default is given, and shown, as a person writes it. */
export const durationOption = (flags: string, description: string, otherwise: string): Option =>
  new Option(flags, description).argParser(parseDuration).default(parseDuration(otherwise), otherwise);

const WARM_DEFAULT = '60s';

/** How long a runner waits for the slot's next attempt, in milliseconds; `off` is 0. */
export const warmOption = (): Option =>
  new Option(
    '--warm <time>',
    "how long a process that has ended its attempt is kept for the slot's next one, or off",
  )
    .argParser((text) => (text === 'off' ? 0 : parseDuration(text)))
    .default(parseDuration(WARM_DEFAULT), WARM_DEFAULT);

export function parseCount(text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < 1) throw new InvalidArgumentError('Must be a whole number from 1.');
  return n;
}

/** A count, or 0 for none. */
export const parseCountOrNone = (text: string): number => (text === '0' ? 0 : parseCount(text));

/** `1,1000,2000` to its numbers. */
export const parseSteps = (text: string): number[] => text.split(',').map((step) => parseCount(step.trim()));

/** 0 stands for any free port. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('Must be a port number, 0 to 65535.');
  return port;
}

export function parsePositive(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || !Number.isFinite(n) || n <= 0)
    throw new InvalidArgumentError('Must be a number above 0.');
  return n;
}

/** A flag that may stand several times. */
export const repeatedOption = (
  flags: string,
  description: string,
  add: (value: string, before: readonly string[]) => readonly string[] = (value, before) => [
    ...before,
    value,
  ],
): Option => new Option(flags, `${description}; may stand several times`).argParser(add).default([], 'none');

/** `key=value`, checked for its form only; the sweep file's reader knows the keys. */
export function collectOverride(value: string, before: readonly string[] = []): readonly string[] {
  if (!/^[^=\s]+=/.test(value)) throw new InvalidArgumentError('Give key=value, e.g. --set max_epochs=2.');
  return [...before, value];
}

/** `--label key=value`. */
export function collectLabel(
  value: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = value.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give key=value, e.g. --label room=cellar.');
  return { ...before, [value.slice(0, at)]: value.slice(at + 1) };
}

/** How a coordinator is found; see `client.ts`. */
export interface ServerOptions {
  readonly server?: string;
  readonly token?: string;
  readonly data?: string;
}

export interface JsonOption {
  readonly json?: boolean;
}

export const withJson = (command: Command): Command => command.option('--json', 'print JSON on stdout');

export const withServer = (command: Command): Command =>
  withJson(command)
    .option(
      '--server <host:port>',
      'coordinator, or several with commas: the one that leads is found (default: WATTSWEEP_SERVER, else what `up` wrote, else 127.0.0.1:7722)',
    )
    .option('--token <token>', 'join token (default: WATTSWEEP_TOKEN)')
    .option('--data <dir>', `data folder of \`up\` (default: ${DEFAULT_DATA_DIR})`);

export const withSet = (command: Command): Command =>
  command.addOption(repeatedOption('--set <key=value>', 'override a key of the file', collectOverride));

export const dataDir = (options: { readonly data?: string }): string =>
  resolve(options.data ?? DEFAULT_DATA_DIR);
