/** A real Prometheus for tests, on a port of its own choice, and promtool. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prometheusPath, promtoolPath } from '../../setup/locate.mjs';

export interface QueryResult {
  readonly labels: Readonly<Record<string, string>>;
  /** Values in order of time; one for an instant query. */
  readonly values: readonly number[];
}

export interface TestPrometheus {
  readonly url: string;
  /** Series that the expression gives at this moment. @throws when Prometheus refuses the expression */
  query(expression: string): Promise<readonly QueryResult[]>;
  /** Series that the expression gives between two moments, milliseconds since 1970. */
  queryRange(
    expression: string,
    fromMs: number,
    toMs: number,
    stepMs: number,
  ): Promise<readonly QueryResult[]>;
  stop(): Promise<void>;
}

export interface TestPrometheusOptions {
  /** `host:port` that answers /metrics. */
  readonly target: string;
  readonly scrapeIntervalMs: number;
  /** Absolute paths or patterns of rule files. */
  readonly ruleFiles: readonly string[];
}

const START_TIMEOUT_MS = 20_000;

function tool(path: string | null, name: string): string {
  if (path === null) throw new Error(`${name} is missing: run node setup/ready.mjs --only=prometheus`);
  return path;
}

/** Runs promtool, `input` on its standard input; resolves with its exit code and all that it printed. */
export function promtool(
  args: readonly string[],
  input = '',
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = execFile(tool(promtoolPath(), 'promtool'), args, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}

export async function startPrometheus(options: TestPrometheusOptions): Promise<TestPrometheus> {
  const dir = await mkdtemp(join(tmpdir(), 'wattsweep-prometheus-'));
  const interval = `${options.scrapeIntervalMs}ms`;
  // JSON is YAML.
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: options.ruleFiles,
    scrape_configs: [{ job_name: 'wattsweep', static_configs: [{ targets: [options.target] }] }],
  };
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    tool(prometheusPath(), 'prometheus'),
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
    await rm(dir, { recursive: true, force: true });
  };

  let log = '';
  const address = await new Promise<string>((resolve, reject) => {
    const fail = () => reject(new Error(`prometheus did not start:\n${log}`));
    const timer = setTimeout(fail, START_TIMEOUT_MS);
    void exited.then(fail);
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-20_000);
      const found = /msg="Listening on" address=(\S+)/.exec(log)?.[1];
      if (found === undefined || !log.includes('Server is ready')) return;
      clearTimeout(timer);
      resolve(found);
    });
  }).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const url = `http://${address}`;
  return {
    url,
    query: (expression) => ask(`${url}/api/v1/query`, { query: expression }),
    queryRange: (expression, fromMs, toMs, stepMs) =>
      ask(`${url}/api/v1/query_range`, {
        query: expression,
        start: String(fromMs / 1000),
        end: String(toMs / 1000),
        step: String(stepMs / 1000),
      }),
    stop,
  };
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

async function ask(url: string, parameters: Record<string, string>): Promise<readonly QueryResult[]> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(parameters) });
  const answer = (await response.json()) as Answer;
  if (answer.status !== 'success') throw new Error(`${parameters['query'] ?? ''}: ${answer.error ?? ''}`);
  return (answer.data?.result ?? []).map(({ metric, value, values }) => ({
    labels: metric,
    values: (values ?? (value === undefined ? [] : [value])).map(([, number]) => Number(number)),
  }));
}
