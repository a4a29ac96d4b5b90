import { defineConfig } from 'vitest/config';

/** Tests of the native engine: they compute, on all cores, and depend on no time. */
const TRAINING = ['test/integration/engine/**/*.test.ts', 'test/e2e/quickstart.test.ts'];

/**
 * Four projects, by what a test needs: `unit` (nothing but the code), `training` (the native engine), `integration` (a
 * real nats-server, gRPC, Prometheus) and `e2e` (whole processes started from `dist/`, some of them killed).
 * Integration and e2e files run one at a time: they measure time-outs on small machines. A test that fails runs once
 * more: elections, leases and time-outs miss their times when a shared machine stands still for seconds. `npm test`
 * names each that needed it, and runs those of training beside those with servers (setup/test.mjs).
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/simulation/**/*.test.ts'],
          testTimeout: 60_000,
          retry: 1,
        },
      },
      {
        test: {
          name: 'training',
          include: TRAINING,
          testTimeout: 1_800_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: TRAINING,
          testTimeout: 120_000,
          retry: 1,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: TRAINING,
          testTimeout: 1_800_000,
          retry: 1,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
