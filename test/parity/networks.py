"""The other networks as a Keras user writes them; run, it prints the counts that `test/unit/runner/networks.test.ts` expects."""

import json

import keras
from keras import layers

from resnet_v2 import resnet_v2


def conv(x, filters, kernel, stride=1, bias=True):
    return layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=bias, kernel_initializer="he_normal"
    )(x)


def norm_relu(x):
    return layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-3)(x))


def head(x, classes, inputs):
    x = layers.Flatten()(layers.AveragePooling2D(x.shape[1])(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", kernel_initializer="he_normal")(x))


def resnet_v1(depth, classes=10, side=32):
    """`resnet_v1` of the Keras example cifar10_resnet."""
    inputs = keras.Input((side, side, 3))
    x = norm_relu(conv(inputs, 16, 3))
    filters = 16
    for stack in range(3):
        for block in range((depth - 2) // 6):
            stride = 2 if stack > 0 and block == 0 else 1
            y = norm_relu(conv(x, filters, 3, stride))
            y = layers.BatchNormalization(epsilon=1e-3)(conv(y, filters, 3))
            if stack > 0 and block == 0:
                x = conv(x, filters, 1, stride)
            x = layers.Activation("relu")(layers.Add()([x, y]))
        filters *= 2
    return head(x, classes, inputs)


def wide_resnet(depth, width, classes=10, side=32):
    inputs = keras.Input((side, side, 3))
    x = conv(inputs, 16, 3, bias=False)
    for stage in range(3):
        filters = 16 * 2**stage * width
        for block in range((depth - 4) // 6):
            stride = 2 if stage > 0 and block == 0 else 1
            a = norm_relu(x)
            y = norm_relu(conv(a, filters, 3, stride, bias=False))
            y = conv(y, filters, 3, bias=False)
            if x.shape[-1] != filters:
                x = conv(a, filters, 1, stride, bias=False)
            x = layers.Add()([x, y])
    return head(norm_relu(x), classes, inputs)


def cnn(stages, width, classes=10, side=32):
    inputs = keras.Input((side, side, 3))
    x = inputs
    for stage in range(stages):
        for _ in range(2):
            x = norm_relu(conv(x, width * 2**stage, 3))
        x = layers.MaxPooling2D(2)(x)
    return head(x, classes, inputs)


if __name__ == "__main__":
    networks = {
        "resnet-v2 20": resnet_v2(20, 0, 0.99),
        "resnet-v1 20": resnet_v1(20),
        "resnet-v1 56": resnet_v1(56),
        "resnet-v1 20, 100 classes": resnet_v1(20, classes=100),
        "wide-resnet 16-4": wide_resnet(16, 4),
        "wide-resnet 28-10": wide_resnet(28, 10),
        "cnn 3, 32": cnn(3, 32),
        "cnn 2, 16, 5 classes of 48 pixels": cnn(2, 16, 5, 48),
    }
    for name, model in networks.items():
        moving = sum(int(keras.ops.size(v)) for v in model.non_trainable_variables)
        print(json.dumps([name, model.count_params() - moving, moving, len(model.layers)]))
