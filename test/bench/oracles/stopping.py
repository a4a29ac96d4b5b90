"""Optuna's SuccessiveHalvingPruner and Keras' EarlyStopping over a pipe: a sequence a line in, its answers out.

An answer is true for stop, false for continue, null for a report of a trial that has been stopped. See ../oracles.ts.
"""

import json
import os
import sys
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")
warnings.simplefilter("ignore")


def halving(request):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=request["firstRung"], reduction_factor=request["eta"], min_early_stopping_rate=0
    )
    study = optuna.create_study(
        direction=request["goal"], pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    trials, stopped, answers = {}, set(), []
    for name, epoch, value in request["reports"]:
        if name in stopped:
            answers.append(None)
            continue
        if name not in trials:
            trials[name] = study.ask()
        trials[name].report(value, epoch)
        answers.append(bool(trials[name].should_prune()))
        if answers[-1]:
            stopped.add(name)
    return answers


class Model:
    stop_training = False


def patience(request):
    import keras

    callback = keras.callbacks.EarlyStopping(
        monitor="value",
        min_delta=request["minDelta"],
        patience=request["patience"],
        mode="max" if request["goal"] == "maximize" else "min",
        start_from_epoch=request["startEpoch"] - 1,
    )
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    answers = []
    for epoch, value in enumerate(request["values"]):
        if model.stop_training:
            answers.append(None)
            continue
        callback.on_epoch_end(epoch, {"value": value})
        answers.append(model.stop_training)
    return answers


RULES = {"asha": halving, "patience": patience}

print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    print(json.dumps(RULES[message["kind"]](message)), flush=True)
