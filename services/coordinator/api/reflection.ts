/** gRPC reflection from the shipped `.proto` files, so that grpcurl and the like can talk to the coordinator. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';
import { projectRoot } from '../../../setup/locate.mjs';

const COORDINATOR_PROTO = join('wattsweep', 'v1', 'coordinator.proto');

/** Null when the files are not there: reflection is a convenience. */
export function createReflection(): ReflectionService | null {
  const folder = join(projectRoot(), 'proto');
  if (!existsSync(join(folder, COORDINATOR_PROTO))) return null;
  return new ReflectionService(
    loadSync([join(folder, COORDINATOR_PROTO), healthProto], { includeDirs: [folder] }),
  );
}
