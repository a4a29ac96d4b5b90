import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test } from '@fast-check/vitest';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReportBatch } from '../../../proto/gen/wattsweep/v1/facts.js';
import { fillCommand, valuesOf } from '../../../services/trainer/attempts/command-template.js';
import { parseRunnerLine, spoolLine, usualType } from '../../../services/trainer/attempts/record.js';
import { SpoolReader } from '../../../services/trainer/attempts/spool-reader.js';
import { encodeLine } from '../../../services/trainer/protocol/runner.js';
import { LineSplitter } from '../../../services/trainer/host/lines.js';
import { ReportPublisher } from '../../../services/trainer/nats/report-publisher.js';
import { FenceStore } from '../../../services/trainer/service/fence.js';
import { classifyExit, type SilentExit } from '../../../services/trainer/supervisor/exit-class.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wattsweep-unit-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('a command', () => {
  const attempt = { seed: 7, maxEpochs: 60 };

  it('gets the parameters in its places', () => {
    expect(
      fillCommand(
        [
          'python',
          'train.py',
          '--lr={lr_peak}',
          '--opt={optimizer}',
          '{schedule}',
          '{{literal}}',
          '{seed}/{max_epochs}',
        ],
        valuesOf({ lr_peak: 0.001, optimizer: 'adam w', schedule: { kind: 'constant' } }, attempt),
      ),
    ).toEqual([
      'python',
      'train.py',
      '--lr=0.001',
      '--opt=adam w',
      '{"kind":"constant"}',
      '{literal}',
      '7/60',
    ]);
  });

  it('names files from where the trainer was started, and nothing else', () => {
    const filled = fillCommand(
      ['node', 'package.json', '-m', 'test', 'services/trainer/index.ts', 'none.py'],
      {},
    );
    const here = process.cwd();
    expect(filled).toEqual([
      'node',
      join(here, 'package.json'),
      '-m',
      'test',
      join(here, 'services/trainer/index.ts'),
      'none.py',
    ]);
    expect(fillCommand(['services', './bin/wattsweep.js'], {})).toEqual([
      'services',
      join(here, 'bin/wattsweep.js'),
    ]);
  });

  it('is refused when it uses what the trial does not have', () => {
    expect(() => fillCommand(['x', '{lr}'], { lr_peak: 1 })).toThrow('{lr}');
    expect(() => fillCommand(['x', '{toString}'], {})).toThrow('{toString}');
  });
});

describe('a spool', () => {
  const line = (epoch: number): string =>
    spoolLine(1_000, 2_000.5, `{"type":"step","epoch":${epoch},"step":1,"metrics":{}}`);

  it('is read as it grows, half lines when they are whole, broken ones counted', async () => {
    const path = join(dir, 'spool.jsonl');
    const reader = new SpoolReader(path);
    expect(reader.read()).toEqual([]);
    await writeFile(path, line(1) + line(2).slice(0, 30));
    expect(reader.read().map(({ number }) => number)).toEqual([1]);
    await appendFile(path, `${line(2).slice(30)}broken\n${line(4)}`);
    const rest = reader.read();
    expect(rest.map(({ number, record }) => [number, record?.line.type ?? null])).toEqual([
      [2, 'step'],
      [3, null],
      [4, 'step'],
    ]);
    expect(rest[0]!.record).toMatchObject({ atUnixMs: 1_000, monotonicMs: 2_000.5 });
    expect(reader.read()).toEqual([]);
    reader.close();
  });

  it('whose half line is cut off goes on with what is written in its place', async () => {
    const path = join(dir, 'spool.jsonl');
    const reader = new SpoolReader(path);
    await writeFile(path, `${line(1)}{"atUnixMs":123456789,"mono`);
    expect(reader.read()).toHaveLength(1);
    await writeFile(path, line(1) + line(7));
    expect(reader.read()).toMatchObject([{ number: 2, record: { line: { epoch: 7 } } }]);
    reader.close();
  });
});

describe('the type of a line', () => {
  it('is seen without a parse where runners write many, and never differs from what a parse says', () => {
    const epoch = encodeLine({
      type: 'epoch',
      epoch: 1,
      step: 0,
      metrics: { loss: NaN },
      trainSeconds: null,
      evaluationSeconds: null,
      dataWaitSeconds: null,
      samplesPerSecond: null,
      trainWindow: null,
      evaluationWindow: null,
    });
    const step = encodeLine({ type: 'step', epoch: 1, step: 3, metrics: {} });
    for (const line of [epoch, step]) expect(usualType(line)).toBe(parseRunnerLine(line)?.type);
    const others = [
      epoch.slice(0, -1),
      '{"type":"end","class":"completed"}',
      '{"type":"epochs","n":1}',
      '',
      '}',
    ];
    for (const line of others) expect(usualType(line)).toBeNull();
  });
});

describe('lines', () => {
  test.prop([fc.array(fc.string({ unit: 'binary' })), fc.array(fc.integer({ min: 1, max: 9 }))])(
    'come out as they went in, however the bytes are cut',
    (texts, cuts) => {
      const wanted = texts.map((text) => text.replaceAll('\n', ' ')).filter((text) => text.trim() !== '');
      const bytes = Buffer.from(wanted.map((text) => `${text}\n`).join(''));
      const got: string[] = [];
      const splitter = new LineSplitter((text) => got.push(text), 1 << 20);
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = cuts[turn % Math.max(1, cuts.length)] ?? 5;
        splitter.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(got).toEqual(wanted.map((text) => Buffer.from(text).toString()));
    },
  );

  it('that are too long are dropped whole', () => {
    const got: string[] = [];
    const splitter = new LineSplitter((text) => got.push(text), 10);
    splitter.push(Buffer.from('short\n'));
    splitter.push(Buffer.from('much too '));
    splitter.push(Buffer.from('long for it\nagain\n'));
    expect(got).toEqual(['short', 'again']);
    expect(splitter.dropped).toBe(1);
  });
});

describe('an end without a last word', () => {
  const silent: SilentExit = {
    code: null,
    signal: null,
    stop: null,
    killed: false,
    oomKill: false,
    outputTail: '',
  };
  const asked = { mode: 'stop', endAs: 'stopped' } as const;

  it.each([
    [{ code: 1 }, 'crashed'],
    [{ code: 0 }, 'crashed'],
    [{ signal: 'SIGSEGV' }, 'crashed'],
    [{ signal: 'SIGKILL' }, 'crashed'],
    [{ signal: 'SIGKILL', oomKill: true }, 'out_of_memory'],
    [{ code: 137, oomKill: true }, 'out_of_memory'],
    [{ signal: 'SIGSEGV', oomKill: true }, 'crashed'],
    [{ code: 1, outputTail: 'torch.cuda.OutOfMemoryError: CUDA out of memory.' }, 'out_of_memory'],
    [{ signal: 'SIGABRT', outputTail: "terminate called after 'std::bad_alloc'" }, 'out_of_memory'],
    [
      { signal: 'SIGTRAP', outputTail: '# Fatal process OOM in Failed to reserve virtual memory' },
      'out_of_memory',
    ],
    [{ signal: 'SIGKILL', killed: true, stop: asked }, 'stopped'],
    [{ code: 1, stop: { mode: 'pause', endAs: 'preempted' } }, 'preempted'],
  ] as const)('%j is %s', (exit, wanted) => {
    const end = classifyExit({ ...silent, ...exit });
    expect(end.class).toBe(wanted);
    expect(end.message).toMatch(/\.$|output: /);
  });

  it.each([
    ['OSError: [Errno 28] No space left on device', 'DISK_FULL'],
    ['RuntimeError: no CUDA-capable device is detected', 'DEVICE_LOST'],
    ['NVRM: GPU at PCI:0000:01:00 has fallen off the bus', 'DEVICE_LOST'],
    ['ValueError: lr must be positive', 'ATTEMPT_CRASHED'],
  ])('after the last words %j has the code %s', (outputTail, code) => {
    expect(classifyExit({ ...silent, code: 1, outputTail })).toMatchObject({ class: 'crashed', code });
    expect(classifyExit({ ...silent, code: 0, outputTail }).code).toBe('ATTEMPT_CRASHED');
  });

  it('is told with the last line of the output', () => {
    const end = classifyExit({ ...silent, code: 1, outputTail: 'Traceback\nValueError: no such file\n\n' });
    expect(end.message).toContain('Its last output: ValueError: no such file');
  });
});

describe('the fence', () => {
  it('keeps the highest term of each ledger, also over a restart', async () => {
    const path = join(dir, 'fence.json');
    const fence = new FenceStore(path);
    await expect(fence.admit({ ledgerId: 'a', term: 3, termId: '' })).resolves.toBe('a');
    await expect(fence.admit({ ledgerId: 'a', term: 2, termId: '' })).rejects.toMatchObject({
      code: 'STALE_TERM',
    });
    await Promise.all([
      fence.admit({ ledgerId: 'a', term: 4, termId: '' }),
      fence.admit({ ledgerId: 'b', term: 1, termId: '' }),
    ]);
    const again = new FenceStore(path);
    await expect(again.admit({ ledgerId: 'a', term: 3, termId: '' })).rejects.toMatchObject({
      code: 'STALE_TERM',
    });
    await expect(again.admit({ ledgerId: 'a', term: 4, termId: '' })).resolves.toBe('a');
    await expect(again.admit(undefined)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('obeys one of two terms of the same number, also over a restart', async () => {
    const path = join(dir, 'fence.json');
    await writeFile(path, JSON.stringify({ ledgers: { a: 3 } }));
    const stale = { code: 'STALE_TERM', knownTerm: 3 };
    // A trainer of before kept no ids: the first is taken.
    await expect(new FenceStore(path).admit({ ledgerId: 'a', term: 3, termId: 'x' })).resolves.toBe('a');
    const fence = new FenceStore(path);
    await expect(fence.admit({ ledgerId: 'a', term: 3, termId: 'y' })).rejects.toMatchObject(stale);
    await expect(fence.admit({ ledgerId: 'a', term: 3, termId: '' })).resolves.toBe('a');
    await expect(fence.admit({ ledgerId: 'a', term: 3, termId: 'x' })).resolves.toBe('a');
    await expect(fence.admit({ ledgerId: 'a', term: 4, termId: 'y' })).resolves.toBe('a');
    await expect(fence.admit({ ledgerId: 'a', term: 4, termId: 'x' })).rejects.toMatchObject({
      knownTerm: 4,
    });
  });

  it('lets a term pass as soon as the disk takes it again', async () => {
    const folder = join(dir, 'away');
    const fence = new FenceStore(join(folder, 'fence.json'));
    await expect(fence.admit({ ledgerId: 'a', term: 2, termId: '' })).rejects.toMatchObject({
      code: 'BOX_UNFIT',
    });
    await mkdir(folder);
    await expect(fence.admit({ ledgerId: 'a', term: 2, termId: '' })).resolves.toBe('a');
    const again = new FenceStore(join(folder, 'fence.json'));
    await expect(again.admit({ ledgerId: 'a', term: 1, termId: '' })).rejects.toMatchObject({
      code: 'STALE_TERM',
    });
  });
});

describe('reports', () => {
  const outgoing = (line: number, acknowledged: number[]) => ({
    id: `l/s/t#1:${String(line)}`,
    report: { spoolLine: line, fact: undefined },
    onAcknowledged: () => void acknowledged.push(line),
  });

  it('are repeated as the same message until NATS has them, and then go on together', async () => {
    const acknowledged: number[] = [];
    const sent: { id: string; lines: number[] }[] = [];
    let failures = 2;
    const publisher = new ReportPublisher({
      trainerId: 'box',
      log: pino({ level: 'silent' }),
      publish: (_subject, data, id) => {
        sent.push({ id, lines: ReportBatch.decode(data).reports.map(({ spoolLine }) => spoolLine) });
        return failures-- > 0 ? Promise.reject(new Error('away')) : Promise.resolve();
      },
    });
    publisher.push(outgoing(1, acknowledged));
    await expect.poll(() => sent.length).toBe(1);
    publisher.push(outgoing(2, acknowledged));
    publisher.push(outgoing(3, acknowledged));
    await publisher.flush(5_000);
    expect(acknowledged).toEqual([1, 2, 3]);
    expect(sent.map(({ lines }) => lines)).toEqual([[1], [1], [1], [2, 3]]);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2);
    expect(sent[0]!.id).toBe('l/s/t#1:1');
  });
});
