"""Trains ResNet11v2 with real Keras from weights and batches given by formula; writes losses and weights as JSON.

    python reference.py OUTPUT [--samples N]

`inputs.ts` has the same formulas: integers mixed by xor, shift and multiplication, so that both sides start from equal
bits. Keep the two alike.
"""

import argparse
import json
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from resnet_v2 import resnet_v2

DEPTH, L2, BN_MOMENTUM = 11, 1e-4, 0.9
MEASURES = ("loss", "sparse_categorical_crossentropy", "accuracy")
BATCH, BATCHES, STEPS, VALIDATION = 24, 5, 30, 40

# Two rates, since what Keras keeps in its momentum shows when the rate changes.
CASES = {
    "adam": (lambda: keras.optimizers.Adam(), [5e-4, 2e-4]),
    "adamw": (lambda: keras.optimizers.AdamW(weight_decay=0.05), [5e-4, 2e-4]),
    "sgd": (lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True), [0.01, 0.004]),
}


def words(stream: int, length: int) -> np.ndarray:
    """32-bit words (lowbias32 of Wellons' hash-prospector)."""
    x = np.arange(length, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(stream * 0x85EBCA6B & 0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    return x ^ (x >> np.uint32(16))


def symmetric(stream: int, length: int) -> np.ndarray:
    """Uniform in [-1, 1), float64."""
    return words(stream, length) / 2.0**31 - 1


def pixels(stream: int, images: int) -> np.ndarray:
    """uint8 [images, 32, 32, 3]."""
    return (words(stream, images * 3072) >> np.uint32(24)).astype(np.uint8).reshape(images, 32, 32, 3)


def labels(stream: int, images: int) -> np.ndarray:
    return (words(stream, images) % np.uint32(10)).astype(np.int32)


MEAN = (0.5 + 0.1 * symmetric(4, 3072)).astype(np.float32).reshape(32, 32, 3)


def scaled(values: np.ndarray) -> np.ndarray:
    return (values / 255.0).astype(np.float32) - MEAN


def initial(role: str, shape, index: int) -> np.ndarray:
    draw = symmetric(100 + index, int(np.prod(shape)))
    if role == "kernel":
        # As wide as He normal: a uniform's variance is a third.
        values = draw * np.sqrt(6 / int(np.prod(shape[:-1])))
    else:
        values = {"bias": 0.05, "gamma": 0.2, "beta": 0.1}[role] * draw + (role == "gamma")
    return values.astype(np.float32).reshape(shape)


def trainable(model):
    """(name, role, variable) in the order of the layers."""
    for layer in model.layers:
        for variable in layer.trainable_variables:
            yield f"{layer.name}/{variable.name}", variable.name, variable


def statistics(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            yield f"{layer.name}/moving_mean", layer.moving_mean
            yield f"{layer.name}/moving_variance", layer.moving_variance


def in_creation_order(model):
    """Keras lists the shortcut's convolution by its depth; ours comes last in its unit, as it was made."""
    ours = ["stem_conv", "stem_bn"]
    for stage in range(3):
        for unit in range((DEPTH - 2) // 9):
            ours += [f"stage{stage}_unit{unit}_{part}" for part in "bn1 conv1 bn2 conv2 bn3 conv3 shortcut".split()]
    ours += ["head_bn", "head_dense"]
    named = {name: (role, variable) for name, role, variable in trainable(model)}
    order = [f"{layer}/{role}" for layer in ours for role in ("kernel", "gamma", "bias", "beta")]
    return [(name, *named[name]) for name in order if name in named]


def digest(values: np.ndarray, samples: int) -> dict:
    """Values at equal distances."""
    flat = np.asarray(values, np.float64).ravel()
    stride = max(1, -(-len(flat) // samples))
    return {"stride": stride, "values": [round_to(value) for value in flat[::stride]]}


def round_to(value: float) -> float:
    return float(f"{value:.8g}")


def run(make_optimizer, rates, samples: int) -> dict:
    keras.backend.clear_session()
    model = resnet_v2(DEPTH, L2, BN_MOMENTUM)
    ordered = in_creation_order(model)
    assert len(ordered) == len(model.trainable_variables)
    for index, (_, role, variable) in enumerate(ordered):
        variable.assign(initial(role, variable.shape, index))
    model.compile(
        optimizer=make_optimizer(),
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_crossentropy", "accuracy"],
        jit_compile=False,
    )
    images = scaled(pixels(1, BATCH * BATCHES))
    classes = labels(2, BATCH * BATCHES)
    steps = []
    for step in range(STEPS):
        model.optimizer.learning_rate = rates[0 if step < STEPS // 2 else 1]
        begin = step % BATCHES * BATCH
        batch = slice(begin, begin + BATCH)
        # Keras' metrics are means since the last reset.
        model.reset_metrics()
        logs = model.train_on_batch(images[batch], classes[batch], return_dict=True)
        steps.append([round_to(logs[key]) for key in MEASURES])
    evaluated = model.evaluate(
        scaled(pixels(5, VALIDATION)), labels(6, VALIDATION), batch_size=VALIDATION, verbose=0, return_dict=True
    )
    weights = {name: variable for name, _, variable in ordered} | dict(statistics(model))
    return {
        "rates": rates,
        "steps": steps,
        "evaluation": [round_to(evaluated[key]) for key in MEASURES],
        "weights": {name: digest(variable.numpy(), samples) for name, variable in weights.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--samples", type=int, default=10**9, help="values kept of a tensor")
    options = parser.parse_args()
    result = {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "cases": {name: run(make, rates, options.samples) for name, (make, rates) in CASES.items()},
    }
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
