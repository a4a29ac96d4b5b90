/** Telemetry over a real nats-server, and what promtool says of it and of the files in deploy/. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TelemetryBatch, type DeviceSample } from '../../../proto/gen/wattsweep/v1/facts.js';
import { telemetrySubject } from '../../../proto/subjects.js';
import { ensureStreams, NatsLink } from '../../../services/coordinator/nats/index.js';
import { createTelemetry, type Telemetry } from '../../../services/coordinator/telemetry/index.js';
import { epochRecord, joules, sweepSpec, trainer, World } from '../../support/core.js';
import { parseExposition, sample } from '../../support/exposition.js';
import { natsBinary, startNats, type TestNats } from '../../support/nats.js';
import { promtool } from '../../support/prometheus.js';

const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url));

describe('telemetry over NATS', () => {
  const world = new World();
  let nats: TestNats;
  let link: NatsLink;
  let telemetry: Telemetry;
  let messages = 0;

  const publishWatts = async (watts: number): Promise<void> => {
    const gpu: DeviceSample = {
      device: 'GPU-0',
      model: 'NVIDIA Fake 1000',
      watts,
      joules: 1000 + watts,
      method: 'nvml-counter',
      utilization: 0.9,
      memoryUsedBytes: 2 ** 30,
      temperatureCelsius: 60,
      throttling: { reasons: [] },
      key: undefined,
    };
    const { sweepId, trialId, attempt } = world.running()[0] ?? { sweepId: '', trialId: '', attempt: 0 };
    const step = {
      key: { sweepId, trialId, attempt, termId: '' },
      epoch: 2,
      step: 15,
      metrics: { loss: NaN },
    };
    const batch = { trainerId: 'box', atUnixMs: 0, steps: [step], devices: [gpu] };
    messages += 1;
    await link.publish(telemetrySubject('box'), TelemetryBatch.encode(batch).finish(), {
      messageId: `m${messages}`,
    });
  };
  const watts = async () =>
    sample(parseExposition(await telemetry.metricsText()), 'wattsweep_device_power_watts');

  beforeAll(async () => {
    world.join(trainer('box', 1));
    world.submit(sweepSpec());
    const attempt = world.running()[0]!;
    world.started(attempt);
    world.epoch(attempt, epochRecord(1, 0.5, { train: joules(100), evaluation: joules(10) }));
    nats = await startNats();
    link = await NatsLink.connect({ url: nats.url, token: null, name: 'test' });
    await ensureStreams(link, { leaseTtlMs: 10_000, trainerTtlMs: 10_000, replicas: 1 });
    await publishWatts(111);
    telemetry = await createTelemetry({
      link,
      getState: () => world.state,
      isLeader: () => true,
      now: () => world.now,
      version: '0.0.0',
    });
  });

  afterAll(async () => {
    await telemetry.close();
    await link.close();
    await nats.stop();
    await rm(nats.dir, { recursive: true, force: true });
  });

  test('begins with what is published after the start, and follows it', async () => {
    expect(await watts()).toBeUndefined();
    await publishWatts(222);
    await vi.waitFor(async () => expect(await watts()).toBe(222), { timeout: 5_000 });
  });

  test('gives an exposition that promtool finds nothing in', async () => {
    telemetry.coordinator.appended('accepted', 1, 0.001);
    telemetry.coordinator.decided('tick');
    telemetry.coordinator.commanded('start_attempt', 'ok');
    expect(await promtool(['check', 'metrics'], await telemetry.metricsText())).toEqual({
      code: 0,
      output: '',
    });
  });

  test('goes on after the server was killed and came back', async () => {
    const { dir, port } = nats;
    await nats.kill();
    nats = await startNats({ dataDir: dir, port });
    await vi.waitFor(() => expect(link.connected).toBe(true), { timeout: 10_000 });
    await vi.waitFor(
      async () => {
        await publishWatts(333);
        expect(await watts()).toBe(333);
      },
      { timeout: 15_000, interval: 200 },
    );
  });
});

describe('the files in deploy/', () => {
  test('promtool takes the configuration and the rules', async () => {
    expect(await promtool(['check', 'config', `${deploy}prometheus/prometheus.yml`])).toMatchObject({
      code: 0,
    });
  });

  test('the tests of the rules pass', async () => {
    const folder = `${deploy}prometheus/tests/`;
    const files = readdirSync(folder).map((name) => folder + name);
    const { code, output } = await promtool(['test', 'rules', ...files]);
    expect(output.match(/SUCCESS/g)?.length ?? 0, output).toBeGreaterThan(0);
    expect(code, output).toBe(0);
  });

  test.each(['nats-server', 'nats-cluster'])(
    'nats-server takes %s.conf, with its environment',
    async (name) => {
      const given = {
        WATTSWEEP_TOKEN: 'w0123456789',
        NATS_NAME: 'n1',
        NATS_ROUTES: '[nats://n1:6222, nats://n2:6222, nats://n3:6222]',
      };
      const { stderr } = await promisify(execFile)(natsBinary(), ['-t', '-c', `${deploy}nats/${name}.conf`], {
        env: { ...process.env, ...given },
      });
      expect(stderr).toContain('is valid');
    },
  );
});
