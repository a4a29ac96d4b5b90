import type { Command } from 'commander';
import { type JsonOption, type ServerOptions, withServer } from '../options.js';

export function register(program: Command): void {
  const command = program
    .command('doctor')
    .description(
      'what is wrong with this box: engine by a real convolution, NATS, data, GPU, power meter, ports, disk',
    );
  withServer(command).action(async (options: ServerOptions & JsonOption) => {
    const { doctor } = await import('../doctor/doctor.js');
    await doctor(options);
  });
}
