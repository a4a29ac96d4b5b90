"""Optuna's TPE over a pipe: per line a study to run, per reply a value. See ../search.ts."""

import json
import sys
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def distribution(domain):
    if domain["kind"] == "list":
        return optuna.distributions.CategoricalDistribution(domain["values"])
    make = optuna.distributions.IntDistribution if domain["integer"] else optuna.distributions.FloatDistribution
    return make(domain["min"], domain["max"], log=domain["scale"] == "log")


def say(message):
    print(json.dumps(message), flush=True)


say({"version": optuna.__version__})
for line in sys.stdin:
    request = json.loads(line)
    sampler = optuna.samplers.TPESampler(seed=request["seed"], multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler, direction="minimize")
    space = {axis["name"]: distribution(axis["domain"]) for axis in request["sweep"]}
    waiting = []
    for _ in range(request["trials"]):
        trial = study.ask(space)
        say({"point": trial.params})
        waiting.append((trial, json.loads(sys.stdin.readline())))
        if len(waiting) == request["atATime"]:
            study.tell(*waiting.pop(0))
    say({"done": True})
