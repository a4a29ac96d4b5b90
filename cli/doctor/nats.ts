/** The NATS server that this box would use: does it answer, which version is it, and how far are the two clocks apart. */
import { connect, type NatsConnection } from 'nats';
import { LEDGER_STREAM } from '../../proto/subjects.js';
import { isOldNats, MINIMUM_NATS } from '../nats/server.js';
import { type ServerOptions, dataDir } from '../options.js';
import { readUpRecord } from '../up/record.js';
import { givenToken } from '../up/token.js';
import { type Finding, bad, ok, reservation } from './finding.js';

export interface NatsOptions extends ServerOptions {
  /** Where it is; otherwise what `up` wrote. */
  readonly nats?: string;
}

const ANSWER_WITHIN_MS = 3_000;
/** Reports and reports' reader are then in an order that a person can follow. */
const CLOCKS_APART_MS = 2_000;

/** Nothing where no server is known: a box alone starts its own. */
export async function checkNatsServer(options: NatsOptions): Promise<Finding[]> {
  const record = readUpRecord(dataDir(options));
  const url = options.nats ?? record?.natsUrl;
  if (url === undefined) return [];
  const token = givenToken(options.token) ?? record?.token ?? undefined;
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: url.split(','),
      ...(token === undefined ? {} : { token }),
      timeout: ANSWER_WITHIN_MS,
      reconnect: false,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const advice = 'Check the address, the join token (--token) and that the server runs.';
    // What `up` wrote may be of yesterday.
    return options.nats === undefined
      ? [reservation('NATS', `${url} does not answer: ${reason}`, advice)]
      : [bad('NATS', `${url} does not answer: ${reason}`, advice)];
  }
  try {
    const rttMs = await connection.rtt();
    const version = connection.info?.version ?? 'unknown';
    const detail = `nats-server ${version} at ${url} answers in ${rttMs.toFixed(1)} ms`;
    const server = isOldNats(version)
      ? bad('NATS', detail, `Use nats-server ${MINIMUM_NATS} or newer.`)
      : ok('NATS', detail);
    return [server, await checkClock(connection)];
  } finally {
    await connection.close();
  }
}

/** The server tells its time with a stream; the ledger is there once a coordinator has been. */
async function checkClock(connection: NatsConnection): Promise<Finding> {
  try {
    const manager = await connection.jetstreamManager({ timeout: ANSWER_WITHIN_MS });
    const beganMs = Date.now();
    const { ts } = await manager.streams.info(LEDGER_STREAM);
    return clockFinding(Date.parse(String(ts)), beganMs, Date.now());
  } catch {
    return reservation('clock', 'not compared: no coordinator has used that NATS yet', 'Ask again later.');
  }
}

/** @param beganMs @param endedMs of the question, by this machine's clock */
export function clockFinding(serverMs: number, beganMs: number, endedMs: number): Finding {
  const offsetMs = (beganMs + endedMs) / 2 - serverMs;
  if (!Number.isFinite(offsetMs))
    return reservation('clock', 'not compared: that NATS does not tell its time', 'Ask again later.');
  const by = `${(Math.abs(offsetMs) / 1000).toFixed(2)} s ${offsetMs < 0 ? 'behind' : 'ahead of'} that of NATS`;
  return Math.abs(offsetMs) <= CLOCKS_APART_MS
    ? ok('clock', by)
    : reservation(
        'clock',
        by,
        'Let both machines keep their clocks by NTP; times in reports are off by so much.',
      );
}
