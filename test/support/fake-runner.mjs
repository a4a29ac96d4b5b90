/**
 * A runner without TensorFlow: speaks the line protocol and does what its parameters, and those in the environment variable
 * FAKE_RUNNER_PARAMETERS, say.
 *
 *   epochs, epochMs     trains so many epochs of so many milliseconds
 *   checkpoints         writes a checkpoint of so many bytes after each epoch
 *   crash_at            exits with code 3 in this epoch, without a last word
 *   oom_at              prints what TensorFlow prints when memory is out, and exits with code 1
 *   hang                neither reports nor obeys: ignores stop and SIGTERM
 *   fork                starts a grandchild in a session of its own that ignores SIGTERM; its pid stands in forked.pid
 *   flood_bytes         prints so much to stdout first
 *   refuse              refuses its parameters
 *   garbage             says things that are no lines of the protocol
 *   linger              stays alive after its last word
 *   stay                waits for another attempt after it, and says so
 *   die_idle            as stay, but dies a moment later, while it waits
 *   die_at_once         exits before its first word, unless the process is fresh
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const say = (line) => {
  try {
    writeSync(3, `${JSON.stringify(line)}\n`);
  } catch {
    // The supervisor is gone; the end of input tells.
  }
};
const now = () => Number(process.hrtime.bigint()) / 1e6;
let stop = null;
let ended = false;

let served = 0;

async function run({ attempt, environment }) {
  const given = JSON.parse(process.env.FAKE_RUNNER_PARAMETERS ?? '{}');
  const p = { epochs: attempt.maxEpochs, epochMs: 20, ...given, ...attempt.parameters };
  if (p.die_at_once && served > 0) process.exit(4);
  ended = false;
  stop = null;
  mkdirSync(attempt.workDir, { recursive: true });
  process.chdir(attempt.workDir);
  writeFileSync('spec.json', JSON.stringify({ attempt, environment: { ...process.env, ...environment } }));
  if (p.fork) {
    const child = spawn(process.execPath, ['-e', "process.on('SIGTERM',()=>{});setInterval(()=>{},1e3)"], {
      detached: true,
      stdio: 'ignore',
      env: { ...process.env, ...environment },
    });
    child.unref();
    writeFileSync('forked.pid', String(child.pid));
  }
  if (p.hang) {
    process.on('SIGTERM', () => undefined);
    say({
      type: 'started',
      device: { kind: 'cpu', name: 'fake' },
      engine: { name: 'fake' },
      trainableParameters: null,
      stepsPerEpoch: null,
      resumedEpoch: 0,
    });
    setInterval(() => undefined, 1_000);
    return new Promise(() => undefined);
  }
  if (p.refuse)
    return { class: 'refused', code: 'PARAMETER_REFUSED', message: 'optimizer: no such optimizer' };
  // Written out before it goes on: what still waits in this process is lost when it exits.
  for (let left = p.flood_bytes ?? 0; left > 0; left -= 65536)
    await new Promise((resolve) => process.stdout.write('x'.repeat(65535) + '\n', resolve));
  if (p.garbage) {
    writeSync(3, 'not json\n{"type":"unknown"}\n[1]\n');
    writeSync(3, Buffer.from([0xff, 0xfe, 10]));
    writeSync(3, '{"type":"epoch","epoch":"one"');
    writeSync(3, '\n');
  }
  const from = attempt.resumeFrom === null ? 0 : Number(/(\d+)$/.exec(attempt.resumeFrom)?.[1] ?? 0);
  say({
    type: 'started',
    device: { kind: attempt.device.kind, name: attempt.device.model },
    engine: { name: 'fake', version: '1' },
    trainableParameters: 10,
    stepsPerEpoch: 2,
    resumedEpoch: from,
  });
  for (let epoch = from + 1; epoch <= p.epochs; epoch++) {
    const begin = now();
    await sleep(p.epochMs * 0.8);
    const middle = now();
    if (epoch === p.crash_at) process.exit(3);
    if (epoch === p.oom_at) {
      console.error('OOM when allocating tensor with shape[32,64]');
      process.exit(1);
    }
    say({ type: 'step', epoch, step: 2 * epoch, metrics: { loss: 1 / epoch } });
    await sleep(p.epochMs * 0.2);
    say({
      type: 'epoch',
      epoch,
      step: 2 * epoch,
      metrics: { val_accuracy: 1 - 1 / (epoch + 1), train_loss: epoch === p.nan_at ? 'NaN' : 1 / epoch },
      trainSeconds: (middle - begin) / 1000,
      evaluationSeconds: (now() - middle) / 1000,
      dataWaitSeconds: 0,
      samplesPerSecond: 100,
      trainWindow: { beginMonotonicMs: begin, endMonotonicMs: middle },
      evaluationWindow: { beginMonotonicMs: middle, endMonotonicMs: now() },
    });
    if (p.checkpoints) {
      const path = `${attempt.checkpointDir}/epoch-${epoch}`;
      mkdirSync(path, { recursive: true });
      writeFileSync(`${path}/state`, Buffer.alloc(p.checkpoints, epoch));
      say({ type: 'checkpoint', epoch, path });
    }
    if (stop !== null) {
      if (stop !== 'cancel') {
        const path = `${attempt.checkpointDir}/epoch-${epoch}`;
        mkdirSync(path, { recursive: true });
        writeFileSync(`${path}/state`, String(epoch));
        say({ type: 'checkpoint', epoch, path });
      }
      return { class: 'stopped', code: '', message: '' };
    }
  }
  return { class: 'completed', code: '', message: '' };
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const command = JSON.parse(line);
  if (command.type === 'stop') stop = command.mode;
  else
    void run(command).then((end) => {
      const { linger, stay, die_idle } = command.attempt.parameters;
      served += 1;
      ended = true;
      say({ type: 'end', ...end, stays: stay || die_idle ? true : undefined });
      if (die_idle) setTimeout(() => process.exit(0), 20);
      else if (!linger && !stay) process.exit(0);
    });
});
input.on('close', () => {
  if (!ended) stop ??= 'pause';
});
