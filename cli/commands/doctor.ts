import type { Command } from 'commander';
import type { DoctorOptions } from '../doctor/doctor.js';
import { parsePositive, withServer } from '../options.js';

export function register(program: Command): void {
  const command = program
    .command('doctor')
    .description(
      'what is wrong with this box: engine by a real convolution, NATS, data, GPU, power meter, clock, ports, disk',
    )
    .option('--nats <url>', 'look at this NATS server, too (default: the one of `up` here, if there is one)')
    .option('--meter-seconds <n>', 'how long the power meter is read', parsePositive, 5);
  withServer(command).action(async (options: DoctorOptions) => {
    const { doctor } = await import('../doctor/doctor.js');
    await doctor(options);
  });
}
