"""The smallest program that can be swept: flags in, one JSON object a line out.

A real one would train a network where this one computes a curve. What else a program may use:
  WATTSWEEP_PARAMETERS_FILE  all parameters as JSON
  WATTSWEEP_SEED             seed of this trial
  WATTSWEEP_MAX_EPOCHS       epochs at which the trial is complete
  WATTSWEEP_CHECKPOINT_DIR   folder that follows the trial when it has to start again elsewhere
  SIGTERM                    asks it to stop: write a checkpoint, then end
"""
import argparse
import json
import math
import os
import random
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--batch-size", type=int, required=True)
args = parser.parse_args()

random.seed(int(os.environ.get("WATTSWEEP_SEED", "1")))
best_possible = 0.95 - 0.12 * abs(math.log10(args.lr) + 1.2) - 0.01 * math.log2(args.batch_size / 32)

for epoch in range(1, int(os.environ.get("WATTSWEEP_MAX_EPOCHS", "9")) + 1):
    time.sleep(0.2)
    val_accuracy = best_possible * (1 - math.exp(-0.5 * epoch)) + random.gauss(0, 0.005)
    # `epoch` and the objective are needed; every other number becomes a metric of its own.
    print(json.dumps({"epoch": epoch, "val_accuracy": val_accuracy, "lr": args.lr}), flush=True)
