/** A coordinator as a process of its own, for tests that kill it: `tsx run-coordinator.ts NATS_URL`. */
import { startCoordinator } from '../../../services/coordinator/index.js';
import { coordinatorOptions } from './world.js';

const [natsUrl = '', coordinatorId = 'child'] = process.argv.slice(2);
const running = await startCoordinator(coordinatorOptions(natsUrl, { coordinatorId, leaseTtlMs: 1_500 }));
process.stdout.write(
  `${JSON.stringify({ grpcAddress: running.grpcAddress, httpAddress: running.httpAddress })}\n`,
);
