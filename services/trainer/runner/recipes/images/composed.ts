/**
 * The network's operations composed of what tfjs' WebAssembly backend has: it lacks the gradient of a convolution's kernel, and
 * that of its input is a loop of scalars. Both are made of its fast convolutions and matrix products here, batch normalisation
 * of elementwise operations. The numbers are those of `fused.ts`.
 */
import type { Tensor, Tensor4D, TensorFlow } from '../../graph/binding.js';
import { activations, BN_EPSILON, type BatchNormResult, type Operations, gradients } from './operations.js';

/** Zeros that `same` puts before the first row and column, and after the last. */
function samePadding(side: number, kernel: number, stride: number): readonly [begin: number, end: number] {
  const total = Math.max((Math.ceil(side / stride) - 1) * stride + kernel - side, 0);
  return [total >> 1, total - (total >> 1)];
}

const sizes = ({ shape }: Tensor): readonly [number, number, number, number] => {
  const [a = 0, b = 0, c = 0, d = 0] = shape;
  return [a, b, c, d];
};

export function composedOperations(tf: TensorFlow): Operations {
  const withGradient = gradients(tf);

  /** Zeros around the rows and columns, or, where negative, a cut. */
  const padded = (x: Tensor, begin: number, end: number): Tensor => {
    const grown = tf.pad4d(x as Tensor4D, [
      [0, 0],
      [begin, Math.max(0, end)],
      [begin, Math.max(0, end)],
      [0, 0],
    ]);
    if (end >= 0) return grown;
    const [batch, side, , channels] = sizes(grown);
    return grown.slice([0, 0, 0, 0], [batch, side + end, side + end, channels]);
  };

  /** Zeros between rows and between columns, so that each is `stride` times as many. */
  const spread = (x: Tensor, stride: number): Tensor => {
    if (stride === 1) return x;
    const [batch, side, , channels] = sizes(x);
    const gap: [number, number][] = [
      [0, 0],
      [0, 0],
      [0, stride - 1],
      [0, 0],
    ];
    const columns = tf.pad(x.reshape([batch * side, side, 1, channels]), gap);
    const rows = tf.pad(columns.reshape([batch, side, 1, side * stride * channels]), gap);
    return rows.reshape([batch, side * stride, side * stride, channels]);
  };

  const inputGradient = (dy: Tensor, x: Tensor, kernel: Tensor, stride: number): Tensor => {
    const [, side] = sizes(x);
    const [size] = sizes(kernel);
    const [begin] = samePadding(side, size, stride);
    const wide = spread(dy, stride);
    const around = padded(wide, size - 1 - begin, side + begin - (wide.shape[1] ?? 0));
    const turned = kernel.reverse([0, 1]).transpose<Tensor4D>([0, 1, 3, 2]);
    return tf.conv2d(around as Tensor4D, turned, 1, 'valid');
  };

  /** For each position in the kernel one matrix product: what it met, times what came of it. */
  const kernelGradient = (dy: Tensor, x: Tensor, kernel: Tensor, stride: number): Tensor => {
    const [batch, side, , inChannels] = sizes(x);
    const [size, , , outChannels] = sizes(kernel);
    const [, outSide] = sizes(dy);
    const [begin, end] = samePadding(side, size, stride);
    const around = begin + end > 0 ? padded(x, begin, end) : x;
    const reach = (outSide - 1) * stride + 1;
    const flat = dy.reshape([batch * outSide ** 2, outChannels]);
    const products: Tensor[] = [];
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const met = tf.stridedSlice(
          around,
          [0, row, column, 0],
          [batch, row + reach, column + reach, inChannels],
          [1, stride, stride, 1],
        );
        // Transposed first: the backend multiplies only untransposed matrices by vector instructions.
        products.push(
          met
            .reshape([batch * outSide ** 2, inChannels])
            .transpose()
            .matMul(flat),
        );
      }
    }
    return tf.concat(products, 0).reshape([size, size, inChannels, outChannels]);
  };

  const conv = (stride: number): ((...inputs: Tensor[]) => Tensor) =>
    withGradient(
      (inputs, save) => {
        const [x, kernel] = inputs as [Tensor4D, Tensor4D];
        save([x, kernel]);
        return tf.conv2d(x, kernel, stride, 'same');
      },
      (dy, saved) => {
        const [x, kernel] = saved as [Tensor, Tensor];
        return [inputGradient(dy, x, kernel, stride), kernelGradient(dy, x, kernel, stride)];
      },
    );

  /** Each position four times, as a square. */
  const repeated = (x: Tensor): Tensor => {
    const [batch, side, , channels] = sizes(x);
    const columns = x.reshape([batch * side, side, 1, channels]).tile([1, 1, 2, 1]);
    const rows = columns.reshape([batch, side, 1, 2 * side * channels]).tile([1, 1, 2, 1]);
    return rows.reshape([batch, 2 * side, 2 * side, channels]);
  };

  // The backend's own gradient forgets squares where all values are negative.
  const maxPool = withGradient(
    (inputs, save) => {
      const [x] = inputs as [Tensor4D];
      const y = tf.maxPool(x, 2, 2, 'valid');
      save([x, y]);
      return y;
    },
    (dy, saved) => {
      const [x, y] = saved as [Tensor, Tensor];
      const [batch, side, , channels] = sizes(x);
      const even = side - (side % 2);
      const whole = even === side ? x : x.slice([0, 0, 0, 0], [batch, even, even, channels]);
      const largest = whole.equal(repeated(y)).cast('float32');
      return [padded(repeated(dy).mul(largest), 0, side - even)];
    },
  );

  const overPositions = [0, 1, 2];
  const batchNormTraining = (x: Tensor, gamma: Tensor, beta: Tensor): BatchNormResult => {
    const [batch, side] = sizes(x);
    const values = batch * side ** 2;
    const statistics: Tensor[] = [];
    const normalise = withGradient(
      (inputs, save) => {
        const [input, scale, shift] = inputs as [Tensor, Tensor, Tensor];
        const { mean, variance } = tf.moments(input, overPositions);
        const inverse = variance.add(BN_EPSILON).rsqrt();
        const centred = input.sub(mean).mul(inverse);
        // customGrad frees what its function makes and does not return.
        statistics.push(tf.keep(mean), tf.keep(variance.mul(values / (values - 1))));
        save([centred, inverse, scale]);
        return centred.mul(scale).add(shift);
      },
      (dy, saved) => {
        const [centred, inverse, scale] = saved as [Tensor, Tensor, Tensor];
        const shiftGradient = dy.sum(overPositions);
        const scaleGradient = dy.mul(centred).sum(overPositions);
        const along = centred.mul(scaleGradient.div(values)).add(shiftGradient.div(values));
        return [dy.sub(along).mul(scale.mul(inverse)), scaleGradient, shiftGradient];
      },
    );
    const output = normalise(x, gamma, beta);
    const [mean, variance] = statistics;
    if (mean === undefined || variance === undefined)
      throw new Error('batch normalisation gave no statistics');
    return { output, mean, variance };
  };

  return {
    conv: (x, kernel, bias, stride) => {
      const convolved = conv(stride)(x, kernel);
      return bias === null ? convolved : convolved.add(bias);
    },
    activation: activations(tf, (x) => tf.relu(x)),
    maxPool,
    add: (a, b) => a.add(b),
    dense: (x, kernel, bias) => x.matMul(kernel).add(bias),
    globalAverage: (x) => x.mean([1, 2]),
    batchNormTraining,
    batchNormInference: (x, gamma, beta, mean, variance) =>
      tf.batchNorm(x, mean, variance, beta, gamma, BN_EPSILON),
    crossEntropy: withGradient(
      (inputs, save) => {
        const [logits, labels] = inputs as [Tensor, Tensor];
        const target = tf.oneHot(labels, logits.shape[1] ?? 0).cast('float32');
        const logarithms = tf.logSoftmax(logits);
        save([logarithms, target]);
        return logarithms.mul(target).sum(1).neg();
      },
      (dy, saved) => {
        const [logarithms, target] = saved as [Tensor, Tensor];
        // The labels have none; tfjs asks for one of each input.
        return [
          logarithms
            .exp()
            .sub(target)
            .mul(dy.reshape([-1, 1])),
          tf.zeros([dy.size]),
        ];
      },
    ),
  };
}
