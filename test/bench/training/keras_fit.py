"""Trains ResNet v2 with Keras' `fit`; told by JSON lines what to do, answers with JSON lines. See `keras.ts`."""

import json
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "parity"))

import keras
import numpy as np
import tensorflow as tf

from resnet_v2 import resnet_v2


class Clock(keras.callbacks.Callback):
    """Times the steps after the first call, which alone bears what `fit` does at its start."""

    def on_train_batch_end(self, batch, logs=None):
        now = (time.perf_counter(), time.process_time(), batch)
        if not hasattr(self, "first"):
            self.first = now
        self.last = now

    def milliseconds(self) -> dict:
        wall, processor, steps = (last - first for first, last in zip(self.first, self.last))
        return {"wallMs": 1e3 * wall / steps, "processorMs": 1e3 * processor / steps}


class Contender:
    def __init__(self, depth: int, batch: int, jit: bool, steps_per_execution: int, policy: str):
        keras.mixed_precision.set_global_policy(policy)
        self.model = resnet_v2(depth, 1e-4, 0.99, "float32")
        self.steps_per_execution = steps_per_execution
        self.model.compile(
            optimizer=keras.optimizers.Adam(1e-3),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=jit,
            steps_per_execution=steps_per_execution,
        )
        images = np.sin(np.arange(batch * 3072) * 12.9898).astype(np.float32).reshape(batch, 32, 32, 3) / 2
        labels = (np.arange(batch) % 10).astype(np.int32)
        self.data = tf.data.Dataset.from_tensors((images, labels)).repeat()

    def block(self, steps: int) -> dict:
        """Wall and processor milliseconds a step."""
        unit = self.steps_per_execution
        steps = unit * (1 + max(1, -(-steps // unit)))
        clock = Clock()
        history = self.model.fit(self.data, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=[clock])
        if not np.isfinite(history.history["loss"][-1]):
            raise RuntimeError("Keras diverged")
        return clock.milliseconds()


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    contenders: dict[str, Contender] = {}
    for line in sys.stdin:
        command = json.loads(line)
        name = command["name"]
        answer = {}
        if command["do"] == "prepare":
            contenders[name] = Contender(**command["options"])
        elif command["do"] == "block":
            answer = contenders[name].block(command["steps"])
        elif command["do"] == "drop":
            del contenders[name]
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
