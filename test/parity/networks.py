"""The other networks as a Keras user writes them, with our names of layers; run, it prints the counts that `test/unit/runner/networks.test.ts` expects."""

import json

import keras
from keras import layers, regularizers

from resnet_v2 import resnet_v2


class Network:
    """Draws a network up; `names` are its layers with parameters, in the order in which they are made."""

    def __init__(self, side: int = 32, l2: float = 0, bn_momentum: float = 0.99):
        self.inputs = keras.Input((side, side, 3))
        self.l2, self.bn_momentum = l2, bn_momentum
        self.names: list[str] = []

    def conv(self, x, name, filters, kernel, stride=1, bias=True):
        self.names.append(name)
        regularizer = regularizers.L2(self.l2) if self.l2 > 0 else None
        return layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=bias,
            kernel_initializer="he_normal",
            kernel_regularizer=regularizer,
            name=name,
        )(x)

    def norm(self, x, name):
        self.names.append(name)
        return layers.BatchNormalization(momentum=self.bn_momentum, epsilon=1e-3, name=name)(x)

    def norm_relu(self, x, name):
        return layers.Activation("relu")(self.norm(x, name))

    def head(self, x, classes):
        self.names.append("head_dense")
        x = layers.Flatten()(layers.AveragePooling2D(x.shape[1])(x))
        dense = layers.Dense(classes, activation="softmax", kernel_initializer="he_normal", name="head_dense")
        return keras.Model(self.inputs, dense(x)), self.names


def resnet_v1(depth, classes=10, **options):
    """`resnet_v1` of the Keras example cifar10_resnet."""
    net = Network(**options)
    x = net.norm_relu(net.conv(net.inputs, "stem_conv", 16, 3), "stem_bn")
    filters = 16
    for stage in range(3):
        for unit in range((depth - 2) // 6):
            name = f"stage{stage}_unit{unit}"
            stride = 2 if stage > 0 and unit == 0 else 1
            y = net.norm_relu(net.conv(x, f"{name}_conv1", filters, 3, stride), f"{name}_bn1")
            y = net.norm(net.conv(y, f"{name}_conv2", filters, 3), f"{name}_bn2")
            if stage > 0 and unit == 0:
                x = net.conv(x, f"{name}_shortcut", filters, 1, stride)
            x = layers.Activation("relu")(layers.Add()([x, y]))
        filters *= 2
    return net.head(x, classes)


def wide_resnet(depth, width, classes=10, **options):
    net = Network(**options)
    x = net.conv(net.inputs, "stem_conv", 16, 3, bias=False)
    for stage in range(3):
        filters = 16 * 2**stage * width
        for unit in range((depth - 4) // 6):
            name = f"stage{stage}_unit{unit}"
            stride = 2 if stage > 0 and unit == 0 else 1
            a = net.norm_relu(x, f"{name}_bn1")
            y = net.norm_relu(net.conv(a, f"{name}_conv1", filters, 3, stride, bias=False), f"{name}_bn2")
            y = net.conv(y, f"{name}_conv2", filters, 3, bias=False)
            if unit == 0 and x.shape[-1] != filters:
                x = net.conv(a, f"{name}_shortcut", filters, 1, stride, bias=False)
            x = layers.Add()([x, y])
    return net.head(net.norm_relu(x, "head_bn"), classes)


def cnn(stages, width, classes=10, **options):
    net = Network(**options)
    x = net.inputs
    for stage in range(stages):
        for part in (1, 2):
            name = f"stage{stage}"
            x = net.norm_relu(net.conv(x, f"{name}_conv{part}", width * 2**stage, 3), f"{name}_bn{part}")
        x = layers.MaxPooling2D(2)(x)
    return net.head(x, classes)


if __name__ == "__main__":
    networks = {
        "resnet-v2 20": resnet_v2(20, 0, 0.99),
        "resnet-v1 20": resnet_v1(20)[0],
        "resnet-v1 56": resnet_v1(56)[0],
        "resnet-v1 20, 100 classes": resnet_v1(20, classes=100)[0],
        "wide-resnet 16-4": wide_resnet(16, 4)[0],
        "wide-resnet 28-10": wide_resnet(28, 10)[0],
        "cnn 3, 32": cnn(3, 32)[0],
        "cnn 2, 16, 5 classes of 48 pixels": cnn(2, 16, 5, side=48)[0],
    }
    for name, model in networks.items():
        moving = sum(int(keras.ops.size(v)) for v in model.non_trainable_variables)
        print(json.dumps([name, model.count_params() - moving, moving, len(model.layers)]))
