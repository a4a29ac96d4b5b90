/** gRPC reflection from the shipped `.proto` files, so that grpcurl and the like can talk to the coordinator. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';

const COORDINATOR_PROTO = join('wattsweep', 'v1', 'coordinator.proto');

/** Null when the files are not there: reflection is a convenience. */
export function createReflection(): ReflectionService | null {
  const folder = protoFolder();
  if (folder === null) return null;
  return new ReflectionService(
    loadSync([join(folder, COORDINATOR_PROTO), healthProto], { includeDirs: [folder] }),
  );
}

/** The `proto/` folder of the clone or the package, from the sources as well as from `dist/`. */
function protoFolder(): string | null {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'proto');
    if (existsSync(join(candidate, COORDINATOR_PROTO))) return candidate;
    const parent = dirname(folder);
    if (parent === folder) return null;
    folder = parent;
  }
}
