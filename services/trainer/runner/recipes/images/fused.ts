/**
 * The network's operations by TensorFlow's fused kernels: tfjs itself composes the backward pass of batch normalisation from
 * ten operations and knows no BiasAddGrad or ReluGrad.
 */
import type { OpAttribute, Tensor, Tensor4D, TensorFlow } from '../../graph/binding.js';
import { nativeBackend } from '../../graph/binding.js';
import { activations, BN_EPSILON, type BatchNormResult, type Operations, gradients } from './operations.js';

export function fusedOperations(tf: TensorFlow): Operations {
  const backend = nativeBackend(tf);
  const { binding } = backend;
  const attr = (name: string, type: number, value: unknown): OpAttribute => ({ name, type, value });
  const T = attr('T', binding.TF_ATTR_TYPE, binding.TF_FLOAT);
  const nhwc = attr('data_format', binding.TF_ATTR_STRING, 'NHWC');
  const one = (op: string, attributes: OpAttribute[], inputs: Tensor[]): Tensor =>
    backend.executeSingleOutput(op, attributes, inputs);
  const many = (op: string, attributes: OpAttribute[], inputs: Tensor[], outputs: number): Tensor[] =>
    backend.executeMultipleOutputs(op, attributes, inputs, outputs);
  const withGradient = gradients(tf);
  const pick = (tensors: readonly Tensor[], index: number): Tensor => {
    const tensor = tensors[index];
    if (tensor === undefined) throw new Error(`an operation gave no output ${index}`);
    return tensor;
  };

  const biasAdd = withGradient(
    (inputs) => one('BiasAdd', [T, nhwc], inputs),
    (dy) => [dy, one('BiasAddGrad', [T, nhwc], [dy])],
  );
  const relu = withGradient(
    (inputs, save) => {
      const y = one('Relu', [T], inputs);
      save([y]);
      return y;
    },
    (dy, saved) => [one('ReluGrad', [T], [dy, ...saved])],
  );
  // Each input needs a gradient tensor of its own: tfjs frees one of them when it sums.
  const add = withGradient(
    (inputs) => one('AddV2', [T], inputs),
    (dy) => [dy, dy.clone()],
  );
  const transposed = (a: boolean, b: boolean): OpAttribute[] => [
    T,
    attr('transpose_a', binding.TF_ATTR_BOOL, a),
    attr('transpose_b', binding.TF_ATTR_BOOL, b),
  ];
  const matMul = withGradient(
    (inputs, save) => {
      save(inputs);
      return one('MatMul', transposed(false, false), inputs);
    },
    (dy, saved) => [
      one('MatMul', transposed(false, true), [dy, pick(saved, 1)]),
      one('MatMul', transposed(true, false), [pick(saved, 0), dy]),
    ],
  );
  const norm = (training: boolean): OpAttribute[] => [
    T,
    attr('U', binding.TF_ATTR_TYPE, binding.TF_FLOAT),
    attr('epsilon', binding.TF_ATTR_FLOAT, BN_EPSILON),
    nhwc,
    attr('is_training', binding.TF_ATTR_BOOL, training),
  ];
  const batchNormTraining = (x: Tensor, gamma: Tensor, beta: Tensor): BatchNormResult => {
    const statistics: Tensor[] = [];
    const normalise = withGradient(
      (inputs, save) => {
        const none = tf.tensor1d([]);
        const outputs = many('FusedBatchNormV3', norm(true), [...inputs, none, none], 6);
        // customGrad frees what its function makes and does not return.
        statistics.push(tf.keep(pick(outputs, 1)), tf.keep(pick(outputs, 2)));
        save([pick(inputs, 0), pick(inputs, 1), pick(outputs, 3), pick(outputs, 4), pick(outputs, 5)]);
        return pick(outputs, 0);
      },
      (dy, saved) => many('FusedBatchNormGradV3', norm(true), [dy, ...saved], 5).slice(0, 3),
    );
    const output = normalise(x, gamma, beta);
    return { output, mean: pick(statistics, 0), variance: pick(statistics, 1) };
  };
  return {
    conv: (x, kernel, bias, stride) => {
      const convolved = tf.conv2d(x as Tensor4D, kernel as Tensor4D, stride, 'same');
      return bias === null ? convolved : biasAdd(convolved, bias);
    },
    activation: activations(tf, relu),
    maxPool: (x) => tf.maxPool(x as Tensor4D, 2, 2, 'valid'),
    add,
    dense: (x, kernel, bias) => biasAdd(matMul(x, kernel), bias),
    globalAverage: (x) => {
      const [batch = 0, side = 0, , channels = 0] = x.shape;
      return tf.avgPool(x as Tensor4D, side, side, 'valid').reshape([batch, channels]);
    },
    batchNormTraining,
    batchNormInference: (x, gamma, beta, mean, variance) =>
      pick(many('FusedBatchNormV3', norm(false), [x, gamma, beta, mean, variance], 6), 0),
    crossEntropy: (logits, labels) => {
      const attributes = [T, attr('Tlabels', binding.TF_ATTR_TYPE, binding.TF_INT32)];
      return withGradient(
        (inputs, save) => {
          const outputs = many('SparseSoftmaxCrossEntropyWithLogits', attributes, [...inputs, labels], 2);
          save([pick(outputs, 1)]);
          return pick(outputs, 0);
        },
        (dy, saved) => [pick(saved, 0).mul(dy.reshape([-1, 1]))],
      )(logits);
    },
  };
}
