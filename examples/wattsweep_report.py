"""Makes a Python program a Wattsweep trial. One file, standard library only: copy it beside your program.

In a program of your own:

    import wattsweep_report as wattsweep

    lr = wattsweep.parameters(lr=0.1)["lr"]         # the sweep's value, or 0.1 when run by hand
    for epoch in range(first, wattsweep.max_epochs(90) + 1):
        ...
        wattsweep.report(epoch, val_accuracy=accuracy)
        if wattsweep.stop_requested():
            break

With Keras: model.fit(..., callbacks=[wattsweep.keras_callback()]).

Around a program that nobody wants to touch:

    python3 wattsweep_report.py --keras-csv history.csv -- python3 train.py
    python3 wattsweep_report.py --regex 'epoch (?P<epoch>\\d+) acc (?P<val_accuracy>\\S+)' -- ./train

docs/programs.md says what Wattsweep gives to a program and what it hears of it.
"""
import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading

_stop = threading.Event()


def parameters(**defaults):
    """The parameters of this trial, as typed in the sweep file, over `defaults`."""
    path = os.environ.get("WATTSWEEP_PARAMETERS_FILE")
    if path is None:
        return defaults
    with open(path, encoding="utf-8") as file:
        return {**defaults, **json.load(file)}


def max_epochs(default):
    """Epochs after which the trial is complete."""
    return int(os.environ.get("WATTSWEEP_MAX_EPOCHS", default))


def seed(default=1):
    """32-bit seed, equal for equal repeats of different settings."""
    return int(os.environ.get("WATTSWEEP_SEED", default))


def checkpoint_dir():
    """Folder that follows the trial to its next attempt; None when run by hand."""
    return os.environ.get("WATTSWEEP_CHECKPOINT_DIR") or None


def resume_from():
    """Checkpoint folder of an earlier attempt of this trial, or None for a fresh start."""
    return os.environ.get("WATTSWEEP_RESUME_FROM") or None


def resume_epoch():
    """The newest epoch that was heard of, 0 for a fresh start: report those after it, also where a checkpoint is newer."""
    return int(os.environ.get("WATTSWEEP_RESUME_EPOCH") or 0)


def report(epoch, **metrics):
    """Reports an epoch, counted from 1, each later than the one before. Values are numbers; NaN ends the trial."""
    line = {"epoch": int(epoch), **{name: float(value) for name, value in metrics.items()}}
    # A line of its own, also behind a progress bar that has not ended its line.
    sys.stdout.write("\n" + json.dumps(line) + "\n")
    sys.stdout.flush()


def on_stop():
    """From now on SIGTERM does not end the program but makes `stop_requested` true."""
    signal.signal(signal.SIGTERM, lambda *_: _stop.set())


def stop_requested():
    """True after Wattsweep has asked for an end: write a checkpoint and leave. Needs `on_stop` before."""
    return _stop.is_set()


def keras_callback(first_epoch=1):
    """Callback for Keras' `fit`: reports the logs of each epoch and ends training when asked.

    `fit(initial_epoch=...)` is counted by Keras itself; `first_epoch` is for several calls of `fit` one after another.
    """
    import keras

    class Report(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            on_stop()

        def on_train_batch_end(self, batch, logs=None):
            if stop_requested():
                self.model.stop_training = True

        def on_epoch_end(self, epoch, logs=None):
            # An epoch that was broken off has no result.
            if not stop_requested():
                report(first_epoch + epoch, **(logs or {}))

    return Report()


class _CsvLog:
    """Reads the rows that Keras' CSVLogger appends. Rows of an earlier run are not reported again."""

    def __init__(self, path):
        self._path = path
        self._told = self._rows()

    def _rows(self):
        try:
            with open(self._path, encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind("\n") + 1]
        return list(csv.DictReader(whole.splitlines()))

    def poll(self):
        rows = self._rows()
        # A CSVLogger that does not append begins the file anew.
        first = len(self._told) if rows[: len(self._told)] == self._told else 0
        for row in rows[first:]:
            report(int(row["epoch"]) + 1, **_numbers({k: v for k, v in row.items() if k != "epoch"}))
        self._told = rows


class _LineLog:
    """Reports the lines that match; its named groups are metrics, `epoch` among them or else counted."""

    def __init__(self, pattern):
        self._pattern = re.compile(pattern)
        self._epoch = 0

    def take(self, line):
        match = self._pattern.search(line)
        if match is None:
            return
        groups = match.groupdict()
        epoch = groups.pop("epoch", None)
        self._epoch = self._epoch + 1 if epoch is None else int(epoch)
        report(self._epoch, **_numbers(groups))


def _numbers(texts):
    """What reads as a number; CSVLogger writes NA for what was not measured."""
    numbers = {}
    for name, text in texts.items():
        try:
            numbers[name] = float(text)
        except (TypeError, ValueError):
            pass
    return numbers


def _main():
    arguments = argparse.ArgumentParser(description="Runs a program and reports its epochs to Wattsweep.")
    source = arguments.add_mutually_exclusive_group(required=True)
    source.add_argument("--keras-csv", metavar="FILE", help="file that Keras' CSVLogger writes")
    source.add_argument("--regex", help="finds an epoch in a line of stdout: (?P<epoch>...) (?P<metric>...)")
    arguments.add_argument("command", nargs=argparse.REMAINDER, help="-- program and arguments")
    options = arguments.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        arguments.error("it names no program")

    rows = None if options.keras_csv is None else _CsvLog(options.keras_csv)
    lines = None if options.regex is None else _LineLog(options.regex)
    # The request to stop reaches the program as well: here it only must not end the report. Ignoring the signal would
    # be inherited by the program; a handler is not.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdout=subprocess.PIPE)

    ended = threading.Event()

    def follow():
        while not ended.wait(0.2):
            rows.poll()
        rows.poll()

    follower = threading.Thread(target=follow)
    if rows is not None:
        follower.start()
    for raw in child.stdout:
        # Progress bars return to the beginning of their line.
        for line in raw.decode("utf-8", "replace").rstrip("\n").split("\r"):
            print(line, flush=True)
            if lines is not None:
                lines.take(line)
    code = child.wait()
    ended.set()
    if rows is not None:
        follower.join()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    _main()
