/** Programs that say nonsense, lie, flood, fill the disk or die: each end has its class and sentence, the box stays up. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AttemptEndClass } from '../../../proto/gen/wattsweep/v1/attempt.js';
import type { ProgramSetup } from '../../../proto/gen/wattsweep/v1/trainer.js';
import type { AttemptEnded, EpochReport, Report } from '../../../proto/gen/wattsweep/v1/facts.js';
import { attemptFiles, trainerLayout } from '../../../services/trainer/layout.js';
import { startNats, type TestNats } from '../../support/nats.js';
import {
  connectNats,
  createStreams,
  publishedReports,
  startServiceProcess,
  terminate,
  trainerClient,
  trainerPrograms,
  type ServiceProcess,
} from '../../support/trainer.js';

const runner = fileURLToPath(new URL('../../../services/trainer/runner/main.ts', import.meta.url));
const report = (epoch: number | string, more = '"score":0.5'): string =>
  `printf '%s\\n' '{"epoch":${String(epoch)},${more}}'`;

interface Case {
  /** For sh. */
  readonly program: string;
  readonly class: AttemptEndClass;
  readonly code: string;
  /** Parts of the sentence. */
  readonly says: readonly string[];
  /** Epochs that are heard. */
  readonly epochs: readonly number[];
}

const { COMPLETED, CRASHED, OUT_OF_MEMORY } = AttemptEndClass;
const well = { class: COMPLETED, code: '', says: [] } as const;

const CASES: Readonly<Record<string, Case>> = {
  'garbage, half and broken objects, lists and bare words are no reports': {
    program: [
      'echo nonsense; echo "[1,2]"; echo "{"; echo \'{"epoch":1,\'; echo \'{"epoch":"two","score":1}\'',
      'echo \'{"epoch":1.5,"score":1}\'; echo \'{"epoch":-1,"score":1}\'; echo \'{"epoch":1}\'; echo \'{"score":1}\'',
      report(1),
    ].join('; '),
    ...well,
    epochs: [1],
  },
  'bytes that are no UTF-8, and a last line without its end': {
    program: `printf '\\377\\376\\000{"epoch":1}\\n{"epoch":1,"\\377":1,"score":0.5}\\n{"epoch":2,"score":0.6}'`,
    ...well,
    epochs: [1, 2],
  },
  'a line of a megabyte': {
    program: `printf '{"epoch":1,"pad":"'; head -c 1000000 /dev/zero | tr '\\0' x; echo '","score":1}'; ${report(1)}`,
    ...well,
    epochs: [1],
  },
  'NaN and Infinity, as Python writes them': {
    program: `${report(1, '"score":NaN,"loss":-Infinity')}; ${report(2)}`,
    ...well,
    epochs: [1, 2],
  },
  'epochs that fall, stand still and jump': {
    program: [5, 3, 5, 4, 6].map((epoch) => report(epoch)).join('; '),
    ...well,
    epochs: [5, 6],
  },
  'three million lines without a word': {
    program: `${report(1)}; head -c 3000000 /dev/zero | tr '\\0' '\\n'; ${report(2)}`,
    ...well,
    epochs: [1, 2],
  },
  'exit code 0 without a word': {
    program: 'exit 0',
    class: CRASHED,
    code: 'NO_REPORT',
    says: ['ended without a report'],
    epochs: [],
  },
  'exit code 0 with nothing but broken reports': {
    program: `echo '{"epoch":0,"score":1}'; echo '{]'; echo why >&2`,
    class: CRASHED,
    code: 'NO_REPORT',
    says: ['ended without a report', 'why', '2 lines were no reports'],
    epochs: [],
  },
  'another exit code': {
    program: `${report(1)}; echo 'cuDNN is unhappy' >&2; exit 7`,
    class: CRASHED,
    code: 'ATTEMPT_CRASHED',
    says: ['exit code 7', 'cuDNN is unhappy'],
    epochs: [1],
  },
  'a signal': {
    program: 'kill -SEGV $$',
    class: CRASHED,
    code: 'ATTEMPT_CRASHED',
    says: ['SIGSEGV'],
    epochs: [],
  },
  'a full disk': {
    program: `${report(1)}; cat /proc/version > /dev/full`,
    class: CRASHED,
    code: 'DISK_FULL',
    says: ['No space left on device'],
    epochs: [1],
  },
  'no more memory': {
    program: `echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB' >&2; exit 1`,
    class: OUT_OF_MEMORY,
    code: 'ATTEMPT_OUT_OF_MEMORY',
    says: ['out of memory'],
    epochs: [],
  },
  'a lost device': {
    program: `echo 'RuntimeError: CUDA error: no CUDA-capable device is detected' >&2; exit 1`,
    class: CRASHED,
    code: 'DEVICE_LOST',
    says: ['no CUDA-capable device'],
    epochs: [],
  },
};

describe('a box that runs anything', () => {
  let nats: TestNats;
  let connection: NatsConnection;
  let dataDir: string;
  let service: ServiceProcess;
  let client: ReturnType<typeof trainerClient>;
  let number = 0;

  beforeAll(async () => {
    nats = await startNats();
    connection = await connectNats(nats.url);
    await createStreams(connection, 5_000);
    dataDir = await mkdtemp(join(tmpdir(), 'wattsweep-bad-'));
    const { supervisor } = await trainerPrograms();
    service = await startServiceProcess({
      natsUrl: nats.url,
      trainerId: 'box',
      dataDir,
      slots: { cpu: 1 },
      trainerTtlMs: 5_000,
      lostAfterMs: 60_000,
      logLevel: 'info',
      allowCommands: ['sh', 'not-there'],
      runnerCommand: [process.execPath, '--import', import.meta.resolve('tsx'), runner],
      supervisorCommand: [process.execPath, supervisor],
    });
    client = trainerClient(service.grpcAddress);
  });
  afterAll(async () => {
    client.close();
    await terminate(service.child);
    await connection.close();
    await nats.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const reportsOf = async (trialId: string): Promise<Report[]> =>
    (await publishedReports(connection)).filter(({ fact }) => fact?.value.key?.trialId === trialId);
  const run = async (
    command: readonly string[],
    setup?: Partial<ProgramSetup>,
  ): Promise<{ trialId: string; end: AttemptEnded; epochs: EpochReport[] }> => {
    const trialId = `t${String(++number)}`;
    const whole =
      setup === undefined
        ? {}
        : { setup: { workdir: '', wrap: [], requires: [], collect: undefined, ...setup } };
    const more = { recipe: 'command', command: [...command], ...whole };
    expect(await client.start(trialId, { lr: 0.25 }, more)).toHaveProperty('ok');
    const find = async () =>
      (await reportsOf(trialId)).flatMap(({ fact }) => (fact?.$case === 'ended' ? [fact.value] : []))[0];
    await expect.poll(find, { timeout: 90_000, interval: 30 }).toBeDefined();
    const epochs = (await reportsOf(trialId)).flatMap(({ fact }) =>
      fact?.$case === 'epoch' ? [fact.value] : [],
    );
    return { trialId, end: (await find())!, epochs };
  };
  const sh = (program: string) => ['sh', '-c', program.replaceAll('{', '{{').replaceAll('}', '}}')];
  const logOf = (trialId: string): string =>
    attemptFiles(
      trainerLayout(dataDir, 'box').attemptDir('ledger-1', { sweepId: 'sweep', trialId, attempt: 1 }),
    ).output;

  it.each(Object.keys(CASES))('%s', async (name) => {
    const expected = CASES[name]!;
    const { end, epochs } = await run(sh(expected.program));
    expect({ class: end.class, code: end.code, epochs: epochs.map(({ epoch }) => epoch) }).toEqual({
      class: expected.class,
      code: expected.code,
      epochs: expected.epochs,
    });
    for (const words of expected.says) expect(end.message).toContain(words);
    expect(end.message.length).toBeLessThanOrEqual(2_000);
  });

  it('hears numbers that are not finite as such', async () => {
    const { epochs } = await run(sh(report(1, '"score":NaN,"loss":Infinity,"flag":true,"name":"x"')));
    expect(epochs[0]!.metrics).toEqual({ score: NaN, loss: Infinity });
  });

  it('runs a program inside of a wrapper, which is told what to hand on', async () => {
    // What `docker run --env-file` does: nothing but the file's variables reaches the program.
    const docker = join(dataDir, 'docker.sh');
    writeFileSync(
      docker,
      'file=$2; image=$3; shift 3\nexec env -i PATH="$PATH" IMAGE=$image $(cat "$file") "$@"\n',
    );
    const program = `printf '{"epoch":1,"score":%s,"seed":%s}\\n' "$1" "$WATTSWEEP_SEED"; pwd; echo "in $IMAGE" >&2`;
    const { trialId, end, epochs } = await run([...sh(program), 'sh', '{lr}'], {
      wrap: ['sh', docker, '--env-file', '{env_file}', 'image-{lr}', '{command}'],
      workdir: dataDir,
    });
    expect(end).toMatchObject({ class: COMPLETED });
    expect(epochs[0]!.metrics).toEqual({ score: 0.25, seed: 1 });
    expect(readFileSync(logOf(trialId), 'utf8').split('\n').sort()).toEqual(['', dataDir, 'in image-0.25']);
  });

  it('starts none where a file lacks, or has another content, and says which', async () => {
    const data = join(dataDir, 'data.bin');
    writeFileSync(data, 'x');
    const content = '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881';
    const needs = (path: string, sha256 = '') => ({ requires: [{ path, sha256 }] });
    expect((await run(sh(report(1)), needs(data, content))).end.class).toBe(COMPLETED);
    for (const setup of [needs(`${data}.no`), needs(data, 'a'.repeat(64)), { workdir: '/no/such/folder' }]) {
      const { end, epochs } = await run(sh(report(1)), setup);
      expect(end).toMatchObject({ class: AttemptEndClass.REFUSED, code: 'REQUIREMENT_MISSING' });
      expect(end.message).toMatch(/data\.bin|such\/folder/);
      expect(epochs).toEqual([]);
    }
  });

  it('hears a program that does not report, and says when nothing was to be heard', async () => {
    const none = { regex: '', kerasCsv: '', tensorboard: undefined };
    const csv = { collect: { ...none, kerasCsv: 'history.csv' } };
    const rows = 'printf "epoch,score\\n0,0.5\\n" > history.csv; printf "1,0.75\\n" >> history.csv';
    const heard = await run(sh(rows), csv);
    expect(heard.end.class).toBe(COMPLETED);
    expect(heard.epochs.map(({ epoch, metrics }) => [epoch, metrics['score']])).toEqual([
      [1, 0.5],
      [2, 0.75],
    ]);
    const { end } = await run(sh(`mkdir history.csv; ${report(1)}`), csv);
    expect(end).toMatchObject({ class: CRASHED, code: 'NO_REPORT' });
    expect(end.message).toContain('ended without an epoch in what is collected');
  });

  it('bounds the log of a flood, and says what it passed over', async () => {
    const { trialId, end } = await run(
      sh(`yes 0123456789 | head -c 8800000; echo '{"epoch":0}'; ${report(1)}`),
    );
    expect(end.class).toBe(COMPLETED);
    expect(statSync(logOf(trialId)).size).toBeLessThan(1_000_000);
    expect(readFileSync(logOf(trialId), 'utf8').includes('ignored: {"epoch":0}')).toBe(true);
  });

  it('refuses what it must not or cannot run, and says what to do', async () => {
    const refused = (command: readonly string[]) =>
      client.start('never', {}, { recipe: 'command', command: [...command] });
    expect(await refused(['python3', 'train.py'])).toMatchObject({
      code: 'RECIPE_NOT_OFFERED',
      message: "This box does not run the program 'python3'.",
    });
    expect(await refused(['/bin/sh', '-c', 'true'])).toMatchObject({ code: 'RECIPE_NOT_OFFERED' });
    expect(await refused([])).toMatchObject({ code: 'RECIPE_NOT_OFFERED' });
    expect(await refused(['sh', '--lr={lr}'])).toMatchObject({
      code: 'PARAMETER_REFUSED',
      message: expect.stringContaining('{lr}') as string,
    });
    const { end } = await run(['not-there']);
    expect(end).toMatchObject({ class: CRASHED, code: 'ATTEMPT_CRASHED' });
    expect(end.message).toContain('could not be started');
  });

  it('is still there afterwards, with one supervisor all the time', async () => {
    expect((await run(sh(report(1)))).end.class).toBe(COMPLETED);
    expect(await client.describe()).toHaveProperty('ok');
    expect(service.child.exitCode).toBeNull();
    expect(service.log()).not.toContain('supervisor of the slot is gone');
  });
});
