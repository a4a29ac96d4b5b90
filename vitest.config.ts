import { defineConfig } from 'vitest/config';

/**
 * Three projects, by what a test needs: `unit` (nothing but the code), `integration` (a real nats-server, gRPC,
 * Prometheus, the native engine) and `e2e` (whole processes started from `dist/`, some of them killed).
 * Integration and e2e files run one at a time: they measure time-outs on small machines. A test of theirs that fails
 * runs once more: elections and leases of real servers miss their times when a shared machine stands still for seconds.
 * `npm test` names each that needed it.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/simulation/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
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
          testTimeout: 1_800_000,
          retry: 1,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
