// Submits a sweep from a program, follows it, and prints the best trial.
// Run it beside `npx wattsweep up --allow-command python3`, in a folder where wattsweep is installed.
import { WattsweepClient } from 'wattsweep';

const client = new WattsweepClient({ server: '127.0.0.1:7722' });
try {
  const { sweepId } = await client.submit({
    name: 'from-a-program',
    command: ['python3', '-c', 'import json; print(json.dumps({"epoch": 1, "loss": ({lr} - 0.3) ** 2}))'],
    objective: { metric: 'loss', goal: 'minimize' },
    max_epochs: 1,
    sweep: { lr: [0.1, 0.2, 0.3, 0.4] },
  });
  for await (const event of client.watch(sweepId)) {
    if (event.type === 'message') console.log(event.message);
  }
  const { sweep } = await client.get(sweepId);
  console.log(`best: ${sweep.bestTrialId}, loss ${sweep.bestObjective}`);
} finally {
  client.close();
}
