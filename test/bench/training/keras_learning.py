"""Trains ResNet v2 with Keras on CIFAR-10 for some epochs; prints one JSON line an epoch. See `../learning.ts`."""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "parity"))

import keras
import numpy as np

from resnet_v2 import resnet_v2

RECORD = 1 + 3072


def read(files: list[str], count: int):
    records = np.concatenate([np.fromfile(file, np.uint8) for file in files])[: count * RECORD].reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float32) / 255
    return images, records[:, 0].astype(np.int32)


def shifted(image: np.ndarray, tx: float, ty: float, flip: bool) -> np.ndarray:
    """Bilinear at clamped positions, as ImageDataGenerator with fill_mode nearest."""

    def taps(shift: float):
        at = np.clip(np.arange(32) + shift, 0, 31)
        low = np.minimum(np.floor(at).astype(int), 31)
        return low, np.minimum(low + 1, 31), at - low

    top, bottom, down = taps(ty)
    left, right, across = taps(tx)
    rows = image[top] * (1 - down)[:, None, None] + image[bottom] * down[:, None, None]
    out = rows[:, left] * (1 - across)[None, :, None] + rows[:, right] * across[None, :, None]
    return out[:, ::-1] if flip else out


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, batch: int, shift: float, seed: int):
        super().__init__()
        self.images, self.labels, self.batch, self.shift = images, labels, batch, shift
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.images))

    def __len__(self):
        return -(-len(self.images) // self.batch)

    def __getitem__(self, index):
        chosen = self.order[index * self.batch : (index + 1) * self.batch]
        shifts = self.random.uniform(-32 * self.shift, 32 * self.shift, (len(chosen), 2))
        flips = self.random.random(len(chosen)) < 0.5
        batch = [shifted(self.images[i], *shift, flip) for i, shift, flip in zip(chosen, shifts, flips)]
        return np.stack(batch).astype(np.float32), self.labels[chosen]


def main() -> None:
    settings = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    keras.utils.set_random_seed(settings["seed"])
    folder = settings["data"]
    train, train_labels = read(
        [os.path.join(folder, f"data_batch_{part}.bin") for part in range(1, 6)], settings["train_images"]
    )
    test, test_labels = read([os.path.join(folder, "test_batch.bin")], settings["validation_images"])
    mean = train.mean(axis=0)
    model = resnet_v2(settings["depth"], settings["l2"], settings["bn_momentum"])
    model.compile(
        optimizer=keras.optimizers.Adam(settings["lr_peak"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )

    class Tell(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            print(json.dumps({"epoch": epoch + 1, "val_accuracy": logs["val_accuracy"]}), file=out, flush=True)

    model.fit(
        Batches(train - mean, train_labels, settings["batch_size"], settings["shift"], settings["seed"]),
        validation_data=(test - mean, test_labels),
        validation_batch_size=100,
        epochs=settings["epochs"],
        verbose=0,
        callbacks=[Tell()],
    )


if __name__ == "__main__":
    main()
