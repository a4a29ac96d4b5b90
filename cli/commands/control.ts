import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

const controls = [
  { name: 'stop', verb: 'STOP', what: 'end a sweep: running trials are cancelled' },
  { name: 'pause', verb: 'PAUSE', what: 'pause a sweep: running trials checkpoint and leave their slots' },
  { name: 'resume', verb: 'RESUME', what: 'go on with a paused sweep' },
] as const;

/** `stop`, `pause` and `resume`. */
export function register(program: Command): void {
  for (const { name, verb, what } of controls) {
    const command = program.command(name).description(what).argument('<sweep>', 'sweep');
    withServer(command).action(async (sweepId: string, options: ServerOptions & JsonOption) => {
      const { withCoordinator } = await import('../client.js');
      const { SweepControl } = await import('../../proto/gen/wattsweep/v1/coordinator.js');
      const { print, printJson } = await import('../output.js');
      const { sweepJson } = await import('../json.js');
      const { sweepStateName } = await import('../sweep-view.js');
      const { sweep } = await withCoordinator(options, (coordinator) =>
        coordinator.control(sweepId, SweepControl[verb]),
      );
      if (options.json) printJson({ sweep: sweep === undefined ? null : sweepJson(sweep) });
      else print(`${sweepId} ${sweep === undefined ? '' : sweepStateName(sweep.state)}`.trimEnd());
    });
  }
}
