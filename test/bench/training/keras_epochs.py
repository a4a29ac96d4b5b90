"""Trains ResNet v2 with Keras and its usual generator for whole epochs; prints one JSON line an epoch. See `epochs.ts`."""

import json
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "parity"))

import keras
import tensorflow as tf

from keras_learning import read
from resnet_v2 import resnet_v2


def main() -> None:
    settings = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    keras.utils.set_random_seed(1)
    folder = settings["data"]
    files = [os.path.join(folder, f"data_batch_{part}.bin") for part in range(1, 6)]
    train, train_labels = read(files, settings["train_images"])
    test, test_labels = read([os.path.join(folder, "test_batch.bin")], settings["validation_images"])
    mean = train.mean(axis=0)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    )
    model = resnet_v2(settings["depth"], 1e-4, 0.99)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
        steps_per_execution=settings["steps_per_execution"],
    )

    class Tell(keras.callbacks.Callback):
        """The last callback: what the others do belongs to the epoch."""

        def on_epoch_end(self, epoch, logs=None):
            times = {"wallSeconds": time.perf_counter(), "processorSeconds": time.process_time()}
            print(json.dumps(times), file=out, flush=True)

    model.fit(
        generator.flow(train - mean, train_labels, batch_size=settings["batch_size"]),
        validation_data=(test - mean, test_labels),
        validation_batch_size=100,
        epochs=settings["epochs"],
        verbose=0,
        callbacks=[keras.callbacks.ModelCheckpoint(settings["checkpoint"]), Tell()],
    )


if __name__ == "__main__":
    main()
