/** Checks of the machine itself: Node, tools of set-up, disk, memory, ports. */
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import { cacheHome, enginePath, natsServerPath, onPath } from '../../setup/locate.mjs';
import { formatBytes } from '../format.js';
import { assertPortFree } from '../nats/server.js';
import { DEFAULT_PORTS, type ServerOptions, dataDir } from '../options.js';
import { isAlive } from '../up/process-identity.js';
import { readUpRecord } from '../up/record.js';
import { type Finding, bad, ok, reservation } from './finding.js';

const MINIMUM_NODE = 20;
const GIB = 2 ** 30;

export function checkNode(): Finding {
  const version = process.versions.node;
  const detail = `Node.js ${version}, ${process.platform} ${process.arch}, ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'})`;
  return Number(version.split('.')[0]) >= MINIMUM_NODE
    ? ok('node', detail)
    : bad('node', detail, `Install Node.js ${MINIMUM_NODE} or newer.`);
}

/** Needed once, to fetch and compile; a box that is set up runs without them. */
export function checkSetupTools(): Finding {
  const missing = ['python3', 'pip3', 'g++'].filter((tool) => onPath(tool) === null);
  if (missing.length === 0) return ok('set-up tools', 'python3, pip and g++ are here');
  const detail = `${missing.join(', ')} not on PATH`;
  return enginePath() !== null && natsServerPath() !== null
    ? ok('set-up tools', `${detail}; not needed, set-up has run`)
    : bad('set-up tools', detail, `Install ${missing.join(', ')}: set-up needs them once.`);
}

export function checkDisk(options: ServerOptions): Finding {
  const places = [
    { what: 'data folder', path: dataDir(options), wanted: GIB },
    { what: 'cache', path: cacheHome(), wanted: enginePath() === null ? 4 * GIB : 0 },
  ];
  const free = places.map((place) => ({ ...place, bytes: freeBytes(place.path) }));
  const detail = free
    .map(({ what, path, bytes }) => `${formatBytes(bytes)} free for the ${what} (${path})`)
    .join('; ');
  const short = free.find(({ bytes, wanted }) => bytes < wanted);
  return short === undefined
    ? ok('disk', detail)
    : bad('disk', detail, `Free some: the ${short.what} wants ${formatBytes(short.wanted)}.`);
}

/** Of the folder, or of its nearest ancestor that exists. */
function freeBytes(path: string): number {
  for (let folder = path; ; folder = folder.slice(0, folder.lastIndexOf('/')) || '/') {
    try {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    } catch (error) {
      if (folder === '/') throw error;
    }
  }
}

/** Linux: what the kernel could free for a new program counts too. */
function availableBytes(): number {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kibibytes === undefined ? freemem() : Number(kibibytes) * 1024;
  } catch {
    return freemem();
  }
}

export function checkMemory(): Finding {
  const available = availableBytes();
  const detail = `${formatBytes(available)} of ${formatBytes(totalmem())} free`;
  return available >= 2 * GIB
    ? ok('memory', detail)
    : reservation(
        'memory',
        detail,
        'A CPU trial of ResNet56v2 takes about 2 GiB; close something or use fewer trainers.',
      );
}

export async function checkPorts(options: ServerOptions): Promise<Finding> {
  const record = readUpRecord(dataDir(options));
  if (record !== null && isAlive(record.up)) {
    return ok(
      'ports',
      `\`wattsweep up\` (process ${record.up.pid}) listens: ${record.natsUrl}, ${record.grpcAddress}`,
    );
  }
  const taken: number[] = [];
  for (const port of Object.values(DEFAULT_PORTS)) {
    await assertPortFree('127.0.0.1', port).catch(() => taken.push(port));
  }
  return taken.length === 0
    ? ok('ports', `${Object.values(DEFAULT_PORTS).join(', ')} are free`)
    : reservation(
        'ports',
        `${taken.join(', ')} in use`,
        'Stop what listens there, or choose others: up --nats-port, --grpc-port, --http-port.',
      );
}
