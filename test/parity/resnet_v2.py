"""ResNet v2 of depth 9n+2 as a Keras user writes it (the Keras example `cifar10_resnet`), with our names of layers."""

import keras
from keras import layers, regularizers


def resnet_v2(depth: int, l2: float, bn_momentum: float, dtype: str | None = None) -> keras.Model:
    """The network with a softmax head; layers are made in the order of our parameter vector."""
    units_per_stage = (depth - 2) // 9

    def conv(x, name, filters, kernel, stride=1):
        return layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            kernel_initializer="he_normal",
            kernel_regularizer=regularizers.L2(l2) if l2 > 0 else None,
            name=name,
        )(x)

    def norm_relu(x, name):
        return layers.ReLU()(layers.BatchNormalization(momentum=bn_momentum, epsilon=1e-3, name=name)(x))

    inputs = keras.Input((32, 32, 3))
    x = norm_relu(conv(inputs, "stem_conv", 16, 3), "stem_bn")
    channels = 16
    for stage in range(3):
        inner = 16 if stage == 0 else channels
        outer = 4 * inner if stage == 0 else 2 * inner
        for unit in range(units_per_stage):
            name = f"stage{stage}_unit{unit}"
            stride = 2 if stage > 0 and unit == 0 else 1
            y = x if stage == 0 and unit == 0 else norm_relu(x, f"{name}_bn1")
            y = conv(y, f"{name}_conv1", inner, 1, stride)
            y = conv(norm_relu(y, f"{name}_bn2"), f"{name}_conv2", inner, 3)
            y = conv(norm_relu(y, f"{name}_bn3"), f"{name}_conv3", outer, 1)
            if unit == 0:
                x = conv(x, f"{name}_shortcut", outer, 1, stride)
            x = layers.Add()([x, y])
            channels = outer
    x = layers.Flatten()(layers.AveragePooling2D(8)(norm_relu(x, "head_bn")))
    dense = layers.Dense(10, activation="softmax", kernel_initializer="he_normal", name="head_dense", dtype=dtype)
    return keras.Model(inputs, dense(x))
