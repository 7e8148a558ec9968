// A network in inference mode on the current backend: features, and afterwards the vector-Jacobian product from the kept activations.
//   forward, pre-activation:   a = relu(s x + t);  y = relu(conv1(a) + b);  x' = conv2(y) + shortcut(a or x)
//   forward, post-activation:  y = relu(conv1(x) + b);  x' = relu(conv2(y) + c + shortcut(x))
//   backward, for the gradient g of x': each convolution by its transpose, each ReLU by the mask (output > 0), so relu'(0) = 0 as in PyTorch.
// Images [n, 32, 32, 3]; the features are the averages over the last map, [n, features].

import { reluGradient, tf } from "@worstcase/tensor";
import { inputShape } from "./architecture.js";
import type { Affine, FoldedBlock, FoldedNetwork, PlainArray } from "./fold.js";

type Tensor4D = ReturnType<typeof tf.tensor4d>;
type Tensor1D = ReturnType<typeof tf.tensor1d>;

interface AffineTensors {
  /** [1, 1, channels, 1]: a depthwise 1 x 1 filter, which adds the shift and applies the ReLU in the same pass. */
  readonly scale: Tensor4D;
  readonly shift: Tensor1D;
}

interface BlockTensors {
  readonly stride: 1 | 2;
  readonly entry: AffineTensors | null;
  readonly first: Tensor4D;
  readonly firstBias: Tensor1D;
  readonly second: Tensor4D;
  readonly secondBias: Tensor1D | null;
  readonly shortcut: Tensor4D | null;
  readonly firstBack: Tensor4D;
  readonly secondBack: Tensor4D;
  readonly shortcutBack: Tensor4D | null;
}

/** ReLU outputs of one block, kept for the backward pass: `a` (or x' in post-activation networks) and `y`. */
interface BlockMasks {
  readonly outer: Tensor4D;
  readonly inner: Tensor4D;
}

/** What a forward pass keeps on the device for its pullback. */
export interface Kept {
  readonly count: number;
  readonly stem: Tensor4D | null;
  readonly blocks: readonly BlockMasks[];
  readonly last: Tensor4D | null;
  /** [height, width] of the last map. */
  readonly lastSize: readonly [number, number];
  readonly bytes: number;
}

const symmetric: [[number, number], [number, number], [number, number], [number, number]] = [
  [0, 0],
  [1, 1],
  [1, 1],
  [0, 0],
];

export class FrozenNetwork {
  readonly featureCount: number;
  private readonly pre: boolean;
  private readonly pixelMean: Tensor1D;
  private readonly stem: Tensor4D;
  private readonly stemBias: Tensor1D;
  private readonly stemBack: Tensor4D;
  private readonly blocks: readonly BlockTensors[];
  private readonly finalNorm: AffineTensors | null;

  /** Puts the folded weights on the current backend. */
  constructor(network: FoldedNetwork) {
    this.featureCount = network.featureCount;
    this.pre = network.order === "pre-activation";
    this.pixelMean = vector(network.pixelMean);
    this.stem = filter(network.stem);
    this.stemBias = vector(network.stemBias);
    this.stemBack = filter(network.stemBack);
    this.blocks = network.blocks.map(toTensors);
    this.finalNorm = network.finalNorm && affine(network.finalNorm);
  }

  /** Features [count, features] of images [count, 32, 32, 3]; `kept` is null unless `keep`, and must be given to `pullback` or `release`. */
  async forward(
    images: Float32Array,
    count: number,
    keep: boolean,
  ): Promise<{ data: Float32Array; kept: Kept | null }> {
    const masks: BlockMasks[] = [];
    let x = tf.tidy(() => {
      const pixels = tf.tensor4d(images, [count, ...inputShape]);
      return convolve(tf.sub(pixels, this.pixelMean), this.stem, 1, this.stemBias, !this.pre);
    });
    const stem = keep && !this.pre ? tf.clone(x) : null;
    for (const block of this.blocks) {
      const output = this.pre ? preForward(block, x) : postForward(block, x);
      tf.dispose(x);
      x = output.x;
      if (!keep) tf.dispose([output.outer, output.inner]);
      else masks.push({ outer: output.outer, inner: output.inner });
    }
    const lastSize = [x.shape[1], x.shape[2]] as const;
    let last: Tensor4D | null = null;
    if (this.finalNorm) {
      const activated = affineRelu(x, this.finalNorm);
      tf.dispose(x);
      x = activated;
      if (keep) last = tf.clone(x);
    }
    const pooled = tf.avgPool(x, [lastSize[0], lastSize[1]], 1, "valid");
    tf.dispose(x);
    const data = (await pooled.data()) as Float32Array;
    tf.dispose(pooled);
    if (!keep) return { data, kept: null };
    const tensors = [stem, last, ...masks.flatMap(({ outer, inner }) => [outer, inner])];
    const bytes = tensors.reduce((sum, tensor) => sum + 4 * (tensor?.size ?? 0), 0);
    return { data, kept: { count, stem, blocks: masks, last, lastSize, bytes } };
  }

  /** Gradient with respect to the images, [count, 32, 32, 3], for the gradient of the features; frees `kept`. */
  async pullback(kept: Kept, featureGradient: Float32Array): Promise<Float32Array> {
    const { count, lastSize } = kept;
    let gradient = tf.tidy(() => {
      const area = lastSize[0] * lastSize[1];
      let perMap = tf.div(tf.tensor4d(featureGradient, [count, 1, 1, this.featureCount]), area) as Tensor4D;
      if (!this.finalNorm) return tf.tile(perMap, [1, lastSize[0], lastSize[1], 1]);
      perMap = tf.mul(perMap, tf.reshape(this.finalNorm.scale, [-1]));
      return reluGradient(tf.tile(perMap, [1, lastSize[0], lastSize[1], 1]), kept.last!);
    });
    for (let i = this.blocks.length - 1; i >= 0; i--) {
      const block = this.blocks[i]!;
      const masks = kept.blocks[i]!;
      const next = tf.tidy(() => (this.pre ? preBackward : postBackward)(block, masks, gradient));
      tf.dispose([gradient, masks.outer, masks.inner]);
      gradient = next;
    }
    const pixels = tf.tidy(() => {
      const masked = kept.stem ? reluGradient(gradient, kept.stem) : gradient;
      return convolve(masked, this.stemBack, 1, null, false);
    });
    tf.dispose([gradient, kept.stem, kept.last].filter((tensor) => tensor !== null));
    const data = (await pixels.data()) as Float32Array;
    tf.dispose(pixels);
    return data;
  }

  /** Frees the weights on the device. */
  dispose(): void {
    const parts = this.blocks.flatMap((block) => [block.entry?.scale, block.entry?.shift, ...Object.values(block)]);
    const all = [this.pixelMean, this.stem, this.stemBias, this.stemBack, ...parts];
    const tensors = [...all, this.finalNorm?.scale, this.finalNorm?.shift];
    tf.dispose(tensors.filter((part) => part instanceof tf.Tensor) as Tensor4D[]);
  }
}

/** Frees what a forward pass kept. */
export function release(kept: Kept): void {
  const tensors = [kept.stem, kept.last, ...kept.blocks.flatMap(({ outer, inner }) => [outer, inner])];
  tf.dispose(tensors.filter((tensor) => tensor !== null));
}

interface BlockOutput extends BlockMasks {
  readonly x: Tensor4D;
}

function preForward(block: BlockTensors, x: Tensor4D): BlockOutput {
  const outer = affineRelu(x, block.entry!);
  const inner = convolve(outer, block.first, block.stride, block.firstBias, true);
  const sum = tf.tidy(() => {
    const side = block.shortcut ? tf.conv2d(outer, block.shortcut, block.stride, "valid") : x;
    return tf.add(convolve(inner, block.second, 1, null, false), side) as Tensor4D;
  });
  return { x: sum, outer, inner };
}

function preBackward(block: BlockTensors, { outer, inner }: BlockMasks, gradient: Tensor4D): Tensor4D {
  const entry = reluGradient(innerGradient(block, inner, gradient), outer);
  return block.shortcut ? entry : tf.add(entry, gradient);
}

function postForward(block: BlockTensors, x: Tensor4D): BlockOutput {
  const inner = convolve(x, block.first, block.stride, block.firstBias, true);
  const outer = tf.tidy(() => {
    const side = block.shortcut ? tf.conv2d(x, block.shortcut, block.stride, "valid") : x;
    return tf.relu(tf.add(convolve(inner, block.second, 1, block.secondBias, false), side)) as Tensor4D;
  });
  return { x: tf.clone(outer), outer, inner };
}

function postBackward(block: BlockTensors, { outer, inner }: BlockMasks, gradient: Tensor4D): Tensor4D {
  const masked = reluGradient(gradient, outer);
  const main = innerGradient(block, inner, masked);
  return block.shortcut ? main : tf.add(main, masked);
}

/** Through both convolutions and, for stride 2, the projected shortcut, which is joined before the pixels are put back in their places. */
function innerGradient(block: BlockTensors, inner: Tensor4D, gradient: Tensor4D): Tensor4D {
  const middle = reluGradient(convolve(gradient, block.secondBack, 1, null, false), inner);
  const main = convolve(middle, block.firstBack, 1, null, false);
  if (block.stride === 1) return main;
  const side = block.shortcutBack && tf.conv2d(gradient, block.shortcutBack, 1, "valid");
  return spreadPixels(side ? tf.add(main, side) : main);
}

/** [n, h, w, (row parity, column parity, c)] to [n, 2 h, 2 w, c]. */
function spreadPixels(x: Tensor4D): Tensor4D {
  const [count, height, width, channels] = x.shape;
  const rows = tf.reshape(x, [count * height, width, 2, channels / 2]);
  return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [count, 2 * height, 2 * width, channels / 4]);
}

/** Convolution with PyTorch's padding: one pixel on each side for 3 x 3 filters; 2 x 2 filters reach one pixel down and right. */
function convolve(x: Tensor4D, weights: Tensor4D, stride: 1 | 2, bias: Tensor1D | null, relu: boolean): Tensor4D {
  if (stride === 1) return convolvePadded(x, weights, 1, "same", bias, relu);
  // TensorFlow's "same" pads stride 2 on one side only; tfjs-node takes no explicit padding
  if (tf.getBackend() !== "tensorflow") return convolvePadded(x, weights, 2, symmetric, bias, relu);
  return tf.tidy(() => convolvePadded(tf.pad(x, symmetric), weights, 2, "valid", bias, relu));
}

function convolvePadded(
  x: Tensor4D,
  weights: Tensor4D,
  stride: 1 | 2,
  pad: "same" | "valid" | typeof symmetric,
  bias: Tensor1D | null,
  relu: boolean,
): Tensor4D {
  if (!bias) return tf.conv2d(x, weights, stride, pad);
  return tf.fused.conv2d({ x, filter: weights, strides: stride, pad, bias, activation: relu ? "relu" : "linear" });
}

function affineRelu(x: Tensor4D, { scale, shift }: AffineTensors): Tensor4D {
  const options = { x, filter: scale, strides: 1, pad: "valid", bias: shift, activation: "relu" } as const;
  return tf.fused.depthwiseConv2d(options);
}

function toTensors(block: FoldedBlock): BlockTensors {
  return {
    stride: block.stride,
    entry: block.entry && affine(block.entry),
    first: filter(block.first),
    firstBias: vector(block.firstBias),
    second: filter(block.second),
    secondBias: block.secondBias && vector(block.secondBias),
    shortcut: block.shortcut && filter(block.shortcut),
    firstBack: filter(block.firstBack),
    secondBack: filter(block.secondBack),
    shortcutBack: block.shortcutBack && filter(block.shortcutBack),
  };
}

function affine({ scale, shift }: Affine): AffineTensors {
  return { scale: tf.tensor4d(scale.data, [1, 1, scale.data.length, 1]), shift: vector(shift) };
}

function filter({ shape, data }: PlainArray): Tensor4D {
  return tf.tensor4d(data, shape as [number, number, number, number]);
}

function vector({ data }: PlainArray): Tensor1D {
  return tf.tensor1d(data);
}
