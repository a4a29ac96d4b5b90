import { defineConfig } from 'vitest/config';

/**
 * Three projects, by what a test needs: `unit` (nothing but the code), `integration` (a real nats-server, gRPC,
 * Prometheus, the native engine) and `e2e` (whole processes started from `dist/`, some of them killed).
 * Integration and e2e files run one at a time: they measure time-outs on small machines.
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
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
