#!/usr/bin/env node
// In a clone dist/ follows the sources, so that a checked-out version always runs what it says.
import { isClone } from '../setup/locate.mjs';

process.setSourceMapsEnabled(true);

async function prepare() {
  if (!isClone()) return true;
  const { runMain } = await import('../setup/lib/errors.mjs');
  const { ready } = await import('../setup/ready.mjs');
  await runMain(async () => void (await ready({ need: ['modules', 'build'] })));
  return process.exitCode === 0;
}

if (await prepare()) await import('../dist/cli/main.js');
