// Gradient of a ReLU from its output:  g * (y > 0), so relu'(0) = 0 as in PyTorch.  g, y: the same shape.
// Native TensorFlow has this as one operation, and tf.step there is six of them (ten times the time of the mask itself).

import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "@worstcase/core";

/** What tfjs-node's backend has and tfjs-core's types do not. */
interface NativeBackend {
  readonly binding: { readonly TF_ATTR_TYPE: number; readonly TF_FLOAT: number };
  executeSingleOutput(operation: string, attributes: readonly object[], inputs: readonly tf.Tensor[]): tf.Tensor;
}

/**
 * Gradient of sum(outputGradient * relu(x)) with respect to x, from `output` = relu(x). Both of one shape, float32; the result too.
 * Throws ShapeError where the shapes differ.
 */
export function reluGradient<T extends tf.Tensor>(outputGradient: T, output: T): T {
  const equal = tf.util.arraysEqual(outputGradient.shape, output.shape);
  if (!equal) {
    const expected = `shape [${outputGradient.shape.join(", ")}], that of outputGradient`;
    throw new ShapeError({ argument: "output", expected, received: `[${output.shape.join(", ")}]` });
  }
  if (tf.getBackend() !== "tensorflow") return tf.tidy(() => tf.mul(outputGradient, tf.step(output)) as T);
  const backend = tf.backend() as unknown as NativeBackend;
  const type = { name: "T", type: backend.binding.TF_ATTR_TYPE, value: backend.binding.TF_FLOAT };
  return backend.executeSingleOutput("ReluGrad", [type], [outputGradient, output]) as T;
}
