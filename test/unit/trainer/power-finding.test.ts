import { afterEach, expect, it } from 'vitest';
import { inspectPower } from '../../../services/trainer/index.js';
import { buildFakeNvml } from '../../support/fake-nvml.js';

afterEach(() => {
  Reflect.deleteProperty(process.env, 'NVML_LIBRARY_PATH');
});

it('a look at the box finds the watts of each GPU, or says why there are none', async () => {
  const fake = await buildFakeNvml({ watts: [75, 150] });
  await fake.set(1, { counter: false, power: false });
  process.env.NVML_LIBRARY_PATH = fake.libraryPath;
  const found = await inspectPower(0.3);
  expect(found).toMatchObject({ driver: '999.0-fake', noGpuReason: '' });
  expect(found.devices[0]).toMatchObject({ device: fake.gpus[0]!.uuid, method: 'nvml-counter', reason: '' });
  // A short look on a machine that may be busy; how exact a meter is other tests tell.
  expect(found.devices[0]!.watts! / 75).toBeGreaterThan(0.5);
  expect(found.devices[0]!.watts! / 75).toBeLessThan(2);
  expect(found.devices[1]).toMatchObject({
    method: '',
    watts: null,
    reason: 'NVML: not supported by this GPU',
  });
  await fake.remove();
  process.env.NVML_LIBRARY_PATH = '/nowhere/libnvidia-ml.so';
  expect((await inspectPower(0.05)).noGpuReason).toContain('/nowhere/libnvidia-ml.so cannot be loaded');
});
