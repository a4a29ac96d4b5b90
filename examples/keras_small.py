"""A Keras program as a trial: a small residual network on made-up pictures, with plateau reduction and, where the sweep
says so, mixed precision.

    npx wattsweep up --allow-command python3 my-sweep.yaml

where my-sweep.yaml has `command: [python3, examples/keras_small.py]` and sweeps `batch_size`, `lr_peak` and
`precision` (`float32` or `mixed_float16`). By hand it runs, too.
"""
import wattsweep_report as wattsweep

import keras
import numpy as np

settings = wattsweep.parameters(batch_size=32, lr_peak=0.05, precision="float32")
keras.utils.set_random_seed(wattsweep.seed())
keras.mixed_precision.set_global_policy(settings["precision"])

random = np.random.default_rng(1)
labels = random.integers(0, 10, 1536)
pictures = random.normal(size=(1536, 16, 16, 3)).astype("float32")
# Each class has a colour and a corner of its own.
for label in range(10):
    pictures[labels == label, label % 4 * 4 : label % 4 * 4 + 4, : 4 + label, label % 3] += 0.7
train, held_out = slice(0, 1024), slice(1024, 1536)

inputs = keras.Input((16, 16, 3))
x = keras.layers.Conv2D(16, 3, padding="same")(inputs)
for filters, strides in ((16, 1), (32, 2)):
    shortcut = keras.layers.Conv2D(filters, 1, strides=strides)(x)
    for number in range(2):
        x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
        x = keras.layers.Conv2D(filters, 3, padding="same", strides=strides if number == 0 else 1)(x)
    x = keras.layers.Add()([x, shortcut])
x = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x)))
outputs = keras.layers.Dense(10, activation="softmax", dtype="float32")(x)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.SGD(settings["lr_peak"], momentum=0.9),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(
    pictures[train],
    labels[train],
    batch_size=settings["batch_size"],
    epochs=wattsweep.max_epochs(5),
    validation_data=(pictures[held_out], labels[held_out]),
    callbacks=[
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.3, patience=3),
        wattsweep.keras_callback(),
    ],
    verbose=2,
)
