/** Epochs of programs that do not report: from lines, from a CSVLogger's file, from event files that TensorFlow wrote. */
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Collect } from '../../../services/trainer/protocol/runner.js';
import { Event } from '../../../services/trainer/runner/graph/tensorflow/gen/event.js';
import { DataType } from '../../../services/trainer/runner/graph/tensorflow/gen/types.js';
import { crc32c, maskedCrc32c } from '../../../services/trainer/runner/recipes/command/collect/crc32c.js';
import { createCollector } from '../../../services/trainer/runner/recipes/command/collect/index.js';

const fixtures = resolve(import.meta.dirname, '../../fixtures/events');
let folder: string;
let heard: { epoch: number; metrics: Readonly<Record<string, number>> }[];
let notes: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wattsweep-collect-'));
  heard = [];
  notes = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const collector = (collect: Collect, objective = 'val_accuracy') =>
  createCollector(collect, {
    folder,
    objective,
    take: ({ epoch, metrics }) => heard.push({ epoch, metrics }),
    note: (text) => notes.push(text),
  });
const epochs = () => heard.map(({ epoch }) => epoch);

describe('lines of stdout', () => {
  it('tell epochs by named groups, as Python or JavaScript writes them', () => {
    const { line } = collector({
      regex: 'epoch (?P<epoch>\\d+)/\\d+ .*acc (?<val_accuracy>\\S+)( loss (?<loss>\\S+))?',
    });
    line!('epoch 1/9 ....\repoch 1/9 done acc 0.5');
    line!('epoch 2/9 done acc nan loss 1e-3');
    line!('epoch 3/9 done acc soon');
    line!('epoch 0/9 done acc 0.5');
    line!(`epoch 4/9 ${'x'.repeat(5_000)} acc 0.5`);
    expect(heard).toEqual([
      { epoch: 1, metrics: { val_accuracy: 0.5 } },
      { epoch: 2, metrics: { val_accuracy: NaN, loss: 0.001 } },
    ]);
    expect(new Set(notes)).toEqual(new Set([expect.stringContaining('told no epoch from 1 or no number')]));
  });

  it('are counted where the expression names no epoch', () => {
    const { line } = collector({ regex: 'acc=(?<acc>[-\\w.]+)' });
    for (const text of ['acc=0.1', 'other', 'acc=-inf']) line!(text);
    expect(heard).toEqual([
      { epoch: 1, metrics: { acc: 0.1 } },
      { epoch: 2, metrics: { acc: -Infinity } },
    ]);
  });
});

describe("the file of Keras' CSVLogger", () => {
  const path = () => join(folder, 'history.csv');

  it('tells a row an epoch, from 1, while it is written', () => {
    const { look } = collector({ kerasCsv: 'history.csv' });
    look!(false);
    const written = readFileSync(join(fixtures, 'history.csv'), 'utf8');
    for (const at of [0, 5, 60, 61, 130]) {
      writeFileSync(path(), written.slice(0, at));
      look!(false);
    }
    expect(epochs()).toEqual([1]);
    // Without the end of its last line.
    writeFileSync(path(), written.trimEnd());
    look!(false);
    expect(epochs()).toEqual([1, 2]);
    look!(true);
    expect(epochs()).toEqual([1, 2, 3]);
    expect(heard[2]!.metrics).toEqual({
      accuracy: 0.59375,
      loss: 0.772835373878479,
      val_accuracy: 0.59375,
      val_loss: 0.7703970670700073,
    });
  });

  it('may begin with a column without a name or a value', () => {
    const { look } = collector({ kerasCsv: 'history.csv' });
    writeFileSync(path(), ',epoch,acc\n0,0,0.5\n,1,0.6\n');
    look!(true);
    expect(heard.map(({ epoch, metrics }) => [epoch, metrics['acc']])).toEqual([
      [1, 0.5],
      [2, 0.6],
    ]);
  });

  it('is not that of an earlier run; one that is begun anew is', () => {
    writeFileSync(path(), 'epoch,acc\n0,0.1\n1,0.2\n');
    const { look } = collector({ kerasCsv: 'history.csv' });
    look!(false);
    appendFileSync(path(), '2,NA\n3,"[1, 2]"\n4,0.5\n');
    look!(false);
    expect(heard).toEqual([{ epoch: 5, metrics: { acc: 0.5 } }]);
    writeFileSync(path(), 'epoch,"a,c"\n0,0.9\nx,1\n');
    look!(false);
    expect(heard.at(-1)).toEqual({ epoch: 1, metrics: { 'a,c': 0.9 } });
    expect(notes).toEqual([expect.stringContaining('tells no epoch')]);
    rmSync(path());
    mkdirSync(path());
    expect(() => look!(true)).toThrow('EISDIR');
  });
});

describe('event files', () => {
  const metrics = { val_accuracy: 'validation/epoch_accuracy', loss: 'train/epoch_loss' };
  const tensorboard = { folder: 'logs', metrics, epochs: 'from_0' } as const;
  const fileOf = (run: string): Buffer => {
    const [name] = readdirSync(join(fixtures, run));
    return readFileSync(join(fixtures, run, name!));
  };
  const write = (run: string, bytes: Buffer): void => {
    mkdirSync(join(folder, 'logs', run), { recursive: true });
    appendFileSync(join(folder, 'logs', run, 'events.out.tfevents.1.v2'), bytes);
  };

  const recordOf = (tag: string, step: number, value: number): Buffer => {
    const event = Event.fromPartial({
      step,
      what: {
        $case: 'summary',
        value: {
          value: [
            {
              tag,
              value: { $case: 'tensor', value: { dtype: DataType.DT_DOUBLE, doubleVal: [value] } },
            },
          ],
        },
      },
    });
    const data = Buffer.from(Event.encode(event).finish());
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(data.length));
    const sumOf = (bytes: Buffer): Buffer => {
      const sum = Buffer.alloc(4);
      sum.writeUInt32LE(maskedCrc32c(bytes));
      return sum;
    };
    return Buffer.concat([length, sumOf(length), data, sumOf(data)]);
  };

  it('have the checksum that they are said to have', () => {
    // RFC 3720, appendix B.4.
    expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa');
    expect(crc32c(Buffer.from('123456789')).toString(16)).toBe('e3069283');
  });

  it('of Keras tell their epochs when they are whole, from every run, in pieces of any size', () => {
    const { look } = collector({ tensorboard });
    const train = fileOf('keras/train');
    const validation = fileOf('keras/validation');
    for (let at = 0; at < train.length; at += 100) {
      write('train', train.subarray(at, at + 100));
      look!(false);
    }
    // The objective is in the other file, which TensorFlow may keep back for minutes longer.
    expect(epochs()).toEqual([]);
    write('validation', validation);
    look!(false);
    expect(epochs()).toEqual([1, 2, 3]);
    heard = [];
    const { look: again } = collector({ tensorboard: { ...tensorboard, folder: 'later' } });
    mkdirSync(join(folder, 'later', 'train'), { recursive: true });
    cpSync(join(folder, 'logs', 'train'), join(folder, 'later', 'train'), { recursive: true });
    mkdirSync(join(folder, 'later', 'validation'));
    for (let at = 0; at < validation.length; at += 77) {
      appendFileSync(join(folder, 'later', 'validation', 'x.tfevents.2'), validation.subarray(at, at + 77));
      if (at > 700) again!(false);
    }
    again!(false);
    expect(
      heard.map(({ epoch, metrics: { val_accuracy, loss } }) => [epoch, val_accuracy, loss?.toFixed(4)]),
    ).toEqual([
      [1, 0.578125, '0.7793'],
      [2, 0.578125, '0.7761'],
      [3, 0.59375, '0.7728'],
    ]);
    expect(notes).toEqual([]);
  });

  it('tell no epoch without its objective, and wait for the rest until the next one has its own', () => {
    const { look } = collector({ tensorboard: { ...tensorboard, epochs: 'from_1' } });
    const wrote = (run: string, tag: string, step: number): void =>
      write(run, recordOf(`epoch_${tag}`, step, step / 10));
    // Validated after every second epoch.
    for (const step of [1, 2, 3]) wrote('train', 'loss', step);
    wrote('validation', 'accuracy', 2);
    look!(false);
    expect(heard).toEqual([{ epoch: 2, metrics: { loss: 0.2, val_accuracy: 0.2 } }]);
    wrote('validation', 'accuracy', 4);
    look!(false);
    expect(epochs()).toEqual([2]);
    wrote('validation', 'accuracy', 6);
    look!(false);
    expect(heard.slice(1)).toEqual([{ epoch: 4, metrics: { val_accuracy: 0.4 } }]);
    for (const step of [4, 5, 6, 7]) wrote('train', 'loss', step);
    look!(true);
    expect(heard.slice(2)).toEqual([{ epoch: 6, metrics: { loss: 0.6, val_accuracy: 0.6 } }]);
    expect(new Set(notes)).toEqual(new Set([expect.stringContaining('without val_accuracy')]));
  });

  it('of the older form, by steps from 1, under a name that further folders stand before', () => {
    const { look } = collector(
      { tensorboard: { folder: '.', metrics: { loss: 'Loss/test' }, epochs: 'from_1' } },
      'loss',
    );
    write('version_0', fileOf('v1'));
    look!(false);
    expect(heard).toEqual([
      { epoch: 1, metrics: { loss: 1 } },
      { epoch: 2, metrics: { loss: 0.5 } },
    ]);
  });

  it('count each value of the objective where steps are no epochs', () => {
    const { look } = collector(
      {
        tensorboard: {
          folder: 'logs',
          metrics: { acc: 'evaluation_accuracy_vs_iterations', loss: 'evaluation_loss_vs_iterations' },
          epochs: 'count',
        },
      },
      'acc',
    );
    write('validation', fileOf('keras/validation'));
    look!(true);
    expect(heard.map(({ epoch, metrics: of }) => [epoch, of['acc']])).toEqual([
      [1, 0.578125],
      [2, 0.578125],
      [3, 0.59375],
    ]);
  });

  it('pass over a damaged record, wait for a cut one, and give up where no length is to be had', () => {
    const bytes = Buffer.from(fileOf('v1'));
    const first = 12 + Number(bytes.readBigUInt64LE(0)) + 4;
    const second = first + 12 + Number(bytes.readBigUInt64LE(first)) + 4;
    bytes[first + 14]! ^= 1;
    const one = { folder: 'logs', metrics: { loss: 'Loss/test' }, epochs: 'from_1' } as const;
    const { look } = collector({ tensorboard: one }, 'loss');
    write('', bytes.subarray(0, bytes.length - 3));
    look!(false);
    expect([epochs(), notes]).toEqual([[], [expect.stringContaining('damaged records')]]);
    write('', bytes.subarray(bytes.length - 3));
    look!(false);
    expect(epochs()).toEqual([2]);
    notes = [];
    write('', Buffer.from('this is no record at all'));
    write('', bytes.subarray(second));
    look!(false);
    look!(true);
    expect([epochs(), new Set(notes)]).toEqual([
      [2],
      new Set([expect.stringContaining('no event file from some place on')]),
    ]);
  });

  it('of an earlier run are not heard, nor a second tag that fits', () => {
    write('old', fileOf('v1'));
    const one = {
      folder: 'logs',
      metrics: { loss: 'epoch_loss', val_accuracy: 'Loss/test' },
      epochs: 'from_0',
    } as const;
    const { look } = collector({ tensorboard: one }, 'loss');
    write('train', fileOf('keras/train'));
    write('validation', fileOf('keras/validation'));
    look!(true);
    expect(heard.map(({ metrics: of }) => Object.keys(of))).toEqual([['loss'], ['loss'], ['loss']]);
    expect(heard[0]!.metrics['loss']).toBeCloseTo(0.7793, 4);
    expect(notes[0]).toContain('both train/epoch_loss and validation/epoch_loss');
  });
});
