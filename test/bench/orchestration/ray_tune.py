"""Ray Tune on the same machine: `python ray_tune.py PART TRIALS REPORTS SECONDS FOLDER` prints a line of JSON.

Parts: `class` keeps its actors (`reuse_actors`), `function` starts a process a trial. 16 trials at a time, of 0.125
processors each. As Ray's documentation advises for many short trials: loggers, syncing, console and dashboard off, no
checkpoints, the state of the experiment saved rarely; TUNE_RESULT_BUFFER_LENGTH is the caller's.
"""

import json
import os
import sys
import time

part, trials, reports, seconds, folder = sys.argv[1:6]
trials, reports, seconds = int(trials), int(reports), float(seconds)
slots = 16

os.environ.update(
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_AUTO_CALLBACK_SYNCER="1",
    TUNE_GLOBAL_CHECKPOINT_S="100000",
    TUNE_MAX_PENDING_TRIALS_PG=str(2 * slots),
    RAY_USAGE_STATS_ENABLED="0",
    RAY_DEDUP_LOGS="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",
)

import ray  # noqa: E402
from ray import tune  # noqa: E402


class Kept(tune.Trainable):
    def setup(self, config):
        self.step_number = 0

    def step(self):
        if seconds > 0:
            time.sleep(seconds)
        self.step_number += 1
        return {"loss": 0.5, "done": self.step_number >= reports}

    def reset_config(self, config):
        self.step_number = 0
        return True


def started(config):
    for _ in range(reports):
        if seconds > 0:
            time.sleep(seconds)
        tune.report({"loss": 0.5})


class Ends(tune.Callback):
    """Counts results from the moment on when every slot has delivered its first."""

    def __init__(self):
        self.begun = set()
        self.warm = None
        self.last = 0.0
        self.results = 0
        self.trials = set()

    def on_trial_result(self, trial, **_):
        self.last = time.perf_counter()
        if self.warm is None:
            self.begun.add(trial.trial_id)
            if len(self.begun) == slots:
                self.warm = self.last
            return
        self.results += 1
        self.trials.add(trial.trial_id)


ray.init(
    num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, configure_logging=False
)
ends = Ends()
tuner = tune.Tuner(
    tune.with_resources(Kept if part == "class" else started, {"cpu": 0.125}),
    param_space={"x": tune.grid_search(list(range(trials)))},
    tune_config=tune.TuneConfig(metric="loss", mode="min", reuse_actors=part == "class"),
    run_config=tune.RunConfig(
        verbose=0,
        storage_path=folder,
        callbacks=[ends],
        # Else a class trainable writes one at its end.
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False) if part == "class" else None,
    ),
)
tuner.fit()
result = {"seconds": ends.last - ends.warm, "trials": len(ends.trials), "reports": ends.results}
print("RESULT " + json.dumps(result), flush=True)
ray.shutdown()
