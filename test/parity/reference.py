"""Trains ResNet11v2 with real Keras from weights and batches given by formula; writes losses and weights as JSON.

    python reference.py OUTPUT [--samples N] [--networks]

`--networks` adds the other networks.

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

from networks import cnn, resnet_v1, wide_resnet
from resnet_v2 import resnet_v2

DEPTH, L2, BN_MOMENTUM = 11, 1e-4, 0.9
MEASURES = ("loss", "sparse_categorical_crossentropy", "accuracy")
BATCH, BATCHES, STEPS, VALIDATION = 24, 5, 30, 40



def adam():
    return keras.optimizers.Adam()


def sgd():
    return keras.optimizers.SGD(momentum=0.9, nesterov=True)


def resnet11_v2():
    model = resnet_v2(DEPTH, L2, BN_MOMENTUM)
    return model, resnet_v2_names()


# Two rates, since what Keras keeps in its momentum shows when the rate changes.
ADAM_RATES, SGD_RATES = [5e-4, 2e-4], [0.01, 0.004]
CASES = {
    "adam": (resnet11_v2, adam, ADAM_RATES),
    "adamw": (resnet11_v2, lambda: keras.optimizers.AdamW(weight_decay=0.05), ADAM_RATES),
    "sgd": (resnet11_v2, sgd, SGD_RATES),
}
OPTIONS = {"l2": L2, "bn_momentum": BN_MOMENTUM}
NETWORKS = {
    "resnet-v1": lambda: resnet_v1(8, **OPTIONS),
    "wide-resnet": lambda: wide_resnet(10, 2, **OPTIONS),
    "cnn": lambda: cnn(2, 8, **OPTIONS),
}
OTHERS = {
    f"{optimizer.__name__}, {name}": (make, optimizer, rates)
    for name, make in NETWORKS.items()
    for optimizer, rates in ((adam, ADAM_RATES), (sgd, SGD_RATES))
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


def resnet_v2_names():
    """Keras lists the shortcut's convolution by its depth; ours comes last in its unit, as it was made."""
    names = ["stem_conv", "stem_bn"]
    for stage in range(3):
        for unit in range((DEPTH - 2) // 9):
            names += [f"stage{stage}_unit{unit}_{part}" for part in "bn1 conv1 bn2 conv2 bn3 conv3 shortcut".split()]
    return names + ["head_bn", "head_dense"]


def in_order(model, names):
    """Trainable tensors as `trainable` gives them, layers in the order of `names`, which is ours."""
    named = {name: (role, variable) for name, role, variable in trainable(model)}
    order = [f"{layer}/{role}" for layer in names for role in ("kernel", "gamma", "bias", "beta")]
    return [(name, *named[name]) for name in order if name in named]


def digest(values: np.ndarray, samples: int) -> dict:
    """Values at equal distances."""
    flat = np.asarray(values, np.float64).ravel()
    stride = max(1, -(-len(flat) // samples))
    return {"stride": stride, "values": [round_to(value) for value in flat[::stride]]}


def round_to(value: float) -> float:
    return float(f"{value:.8g}")


def run(make_model, make_optimizer, rates, samples: int) -> dict:
    keras.backend.clear_session()
    model, names = make_model()
    ordered = in_order(model, names)
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
    parser.add_argument("--networks", action="store_true", help="the other networks, too")
    options = parser.parse_args()
    cases = CASES | (OTHERS if options.networks else {})
    result = {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "cases": {name: run(*case, options.samples) for name, case in cases.items()},
    }
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
