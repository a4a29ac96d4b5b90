"""ResNet v2 of depth 9n+2 on CIFAR-10 in Keras, as the blog post trained it: Adam, L2, shifts and flips, the learning rate
cut by plateau reduction, and `mixed_float16` where the sweep says so. Stops and resumes.

    npx wattsweep up --allow-command python3 examples/keras-resnet.yaml

It needs TensorFlow 2.16 or newer with Keras 3. CIFAR-10 is fetched by Keras, or read from the folder that
CIFAR10_DIR names (`data_batch_1.bin` to `test_batch.bin`, the binary version). By hand it runs, too.
"""
import math
import os

import wattsweep_report as wattsweep

import keras
import numpy as np
import tensorflow as tf
from keras import layers, regularizers

settings = wattsweep.parameters(
    depth=56,
    batch_size=64,
    lr_peak=1e-3,
    l2=1e-4,
    shift=0.1,
    bn_momentum=0.99,
    precision="mixed_float16",
    train_images=50_000,
    validation_images=10_000,
)
epochs = wattsweep.max_epochs(60)
keras.utils.set_random_seed(wattsweep.seed())
keras.mixed_precision.set_global_policy(settings["precision"])


def cifar10():
    folder = os.environ.get("CIFAR10_DIR")
    if folder is None:
        return keras.datasets.cifar10.load_data()

    def read(names):
        raw = np.concatenate([np.fromfile(os.path.join(folder, name), np.uint8) for name in names])
        rows = raw.reshape(-1, 1 + 3 * 32 * 32)
        return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, :1]

    return read([f"data_batch_{part}.bin" for part in range(1, 6)]), read(["test_batch.bin"])


def residual_network(depth):
    """Bottleneck units of 1x1, 3x3 and 1x1 in three stages of n units each; full pre-activation but for the first."""
    units, rest = divmod(depth - 2, 9)
    if rest or units < 1:
        raise SystemExit(f"depth must be 9n+2 (11, 20, 29, ..., 56), not {depth}")

    def conv(x, filters, kernel, stride=1):
        return layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            kernel_initializer="he_normal",
            kernel_regularizer=regularizers.L2(settings["l2"]),
        )(x)

    def norm_relu(x):
        return layers.ReLU()(layers.BatchNormalization(momentum=settings["bn_momentum"])(x))

    inputs = keras.Input((32, 32, 3))
    x = norm_relu(conv(inputs, 16, 3))
    narrow, wide = 16, 64
    for stage in range(3):
        for unit in range(units):
            stride = 2 if stage > 0 and unit == 0 else 1
            y = x if stage == 0 and unit == 0 else norm_relu(x)
            y = norm_relu(conv(y, narrow, 1, stride))
            y = norm_relu(conv(y, narrow, 3))
            y = conv(y, wide, 1)
            if unit == 0:
                x = conv(x, wide, 1, stride)
            x = layers.Add()([x, y])
        narrow, wide = wide, 2 * wide
    x = layers.Flatten()(layers.AveragePooling2D(8)(norm_relu(x)))
    # The softmax of half floats would lose small probabilities.
    return keras.Model(inputs, layers.Dense(10, activation="softmax", dtype="float32")(x))


(images, labels), (held_out, held_out_labels) = cifar10()
images, labels = images[: settings["train_images"]], labels[: settings["train_images"]]
held_out, held_out_labels = held_out[: settings["validation_images"]], held_out_labels[: settings["validation_images"]]
mean = (images / np.float32(255)).mean(axis=0)

augment = keras.Sequential(
    [
        layers.RandomTranslation(settings["shift"], settings["shift"], fill_mode="nearest"),
        layers.RandomFlip("horizontal"),
    ]
)
train = (
    tf.data.Dataset.from_tensor_slices((images, labels))
    .shuffle(len(images))
    .batch(settings["batch_size"])
    .map(
        lambda x, y: (augment(tf.cast(x, tf.float32) / 255 - mean, training=True), y),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    .prefetch(tf.data.AUTOTUNE)
)

# A checkpoint is the last whole epoch: an epoch that was reported but not yet kept is trained again, and counts once.
# What the plateau reduction remembers (its best value, how long ago) begins anew; the rate that it had set does not.
done, model = 0, None
if wattsweep.resume_from():
    path = os.path.join(wattsweep.resume_from(), "network.keras")
    if os.path.exists(path):
        model = keras.models.load_model(path)
        done = int(model.optimizer.iterations) // math.ceil(len(images) / settings["batch_size"])
if model is None:
    model = residual_network(settings["depth"])
    model.compile(
        optimizer=keras.optimizers.Adam(settings["lr_peak"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


class Keep(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if wattsweep.checkpoint_dir() and not wattsweep.stop_requested():
            path = os.path.join(wattsweep.checkpoint_dir(), "network.keras")
            self.model.save(path[: -len(".keras")] + ".new.keras")
            os.replace(path[: -len(".keras")] + ".new.keras", path)


model.fit(
    train,
    initial_epoch=done,
    epochs=epochs,
    validation_data=tf.data.Dataset.from_tensor_slices(
        (held_out / np.float32(255) - mean, held_out_labels)
    ).batch(500),
    callbacks=[
        keras.callbacks.ReduceLROnPlateau(factor=math.sqrt(0.1), patience=5, min_lr=0.5e-6),
        wattsweep.keras_callback(),
        Keep(),
    ],
    verbose=2,
)
