// A network in training mode: logits of a batch with the statistics of that batch, and the gradient of every parameter.
// Parameters are tensors by their PyTorch names, filters as [height, width, in, out] and `linear.weight` as [features, classes].

import { tf } from "@worstcase/tensor";
import { type Architecture, type Block, blocksOf, orderOf } from "../architecture.js";
import { paddingFilter } from "../fold.js";
import {
  convolve,
  filterGradient,
  inputGradient,
  maskBy,
  type NormCache,
  normBackward,
  normForward,
  type Tensor,
  type Tensor1D,
  type Tensor4D,
} from "./layers.js";

export type Parameters = ReadonlyMap<string, Tensor>;

/** Batch statistics of each norm by its name, and how many values each mean was taken over. */
export type Statistics = ReadonlyMap<string, { mean: Tensor1D; variance: Tensor1D; count: number }>;

interface BlockCache {
  readonly input: Tensor4D;
  readonly first: NormCache;
  readonly second: NormCache;
  /** Output of a post-activation block; null for pre-activation, whose output only feeds the next norm. */
  readonly output: Tensor4D | null;
}

/** What a forward pass keeps for the backward pass; `dispose` frees it. */
export interface ForwardPass {
  readonly logits: ReturnType<typeof tf.tensor2d>;
  readonly statistics: Statistics;
  readonly images: Tensor4D;
  readonly stem: NormCache | null;
  readonly blocks: readonly BlockCache[];
  readonly last: NormCache | null;
  /** Shape of the last map. */
  readonly lastShape: readonly [number, number, number, number];
  readonly features: ReturnType<typeof tf.tensor2d>;
}

export class TrainingNetwork {
  private readonly pre: boolean;
  private readonly blocks: readonly Block[];
  private readonly constants = new Map<string, Tensor4D>();

  constructor(private readonly architecture: Architecture) {
    this.pre = orderOf(architecture) === "pre-activation";
    this.blocks = blocksOf(architecture);
    for (const { name, shortcut, inChannels, outChannels } of this.blocks) {
      if (shortcut !== "zero-padding") continue;
      const { data, shape } = paddingFilter(inChannels, outChannels);
      this.constants.set(name, tf.tensor4d(data, shape as [number, number, number, number]));
    }
  }

  /** Forward pass of normalised images [n, 32, 32, 3]; takes over `images`. */
  forward(parameters: Parameters, images: Tensor4D): ForwardPass {
    const statistics = new Map<string, { mean: Tensor1D; variance: Tensor1D; count: number }>();
    const norm = (name: string, x: Tensor4D, relu = true): NormCache => {
      const cache = normForward(x, vector(parameters, `${name}.weight`), vector(parameters, `${name}.bias`), relu);
      statistics.set(name, { mean: cache.mean, variance: cache.variance, count: x.size / cache.mean.size });
      return cache;
    };
    const conv = (name: string, x: Tensor4D, stride: 1 | 2 = 1) => convolve(x, filter(parameters, name), stride);

    let x = conv("conv1", images);
    let stem: NormCache | null = null;
    if (!this.pre) {
      stem = norm("bn1", x);
      x.dispose();
      x = stem.output;
    }
    const blocks: BlockCache[] = [];
    for (const block of this.blocks) {
      const { name, stride, shortcut } = block;
      const input = x;
      if (this.pre) {
        const first = norm(`${name}.bn1`, x);
        const middle = conv(`${name}.conv1`, first.output, stride);
        const second = norm(`${name}.bn2`, middle);
        const main = conv(`${name}.conv2`, second.output);
        const side = shortcut === "identity" ? input : conv(`${name}.shortcut.0`, first.output, stride);
        x = tf.add(main, side);
        tf.dispose([middle, main, side, input]);
        blocks.push({ input, first, second, output: null });
      } else {
        const middle = conv(`${name}.conv1`, x, stride);
        const first = norm(`${name}.bn1`, middle);
        const main = conv(`${name}.conv2`, first.output);
        const second = norm(`${name}.bn2`, main, false);
        const side = shortcut === "identity" ? input : convolve(x, this.constants.get(name)!, stride);
        x = tf.tidy(() => tf.relu(tf.add(second.output, side) as Tensor4D));
        tf.dispose([middle, main, second.output]);
        if (side !== input) side.dispose();
        blocks.push({ input, first, second, output: x });
      }
    }
    let last: NormCache | null = null;
    const lastShape = x.shape;
    const map = x;
    if (this.architecture.finalNorm) {
      last = norm("bn", map);
      map.dispose();
      x = last.output;
    }
    const features = tf.tidy(() =>
      tf.reshape(tf.avgPool(x, [lastShape[1], lastShape[2]], 1, "valid"), [lastShape[0], lastShape[3]]),
    ) as ReturnType<typeof tf.tensor2d>;
    if (this.pre && !last) x.dispose();
    const logits = tf.tidy(() =>
      tf.add(tf.matMul(features, parameters.get("linear.weight")!), parameters.get("linear.bias")!),
    ) as ReturnType<typeof tf.tensor2d>;
    return { logits, statistics, images, stem, blocks, last, lastShape, features };
  }

  /** Gradient of every parameter from the gradient of the logits [n, classes]; frees the forward pass. */
  backward(parameters: Parameters, pass: ForwardPass, logitGradient: Float32Array): Map<string, Tensor> {
    const gradients = new Map<string, Tensor>();
    const [count, height, width, channels] = pass.lastShape;
    const { conv, norm } = this.gradientsInto(gradients, parameters);

    let g = tf.tidy(() => {
      const dlogits = tf.tensor2d(logitGradient, pass.logits.shape);
      gradients.set("linear.weight", tf.keep(tf.matMul(pass.features, dlogits, true)));
      gradients.set("linear.bias", tf.keep(tf.sum(dlogits, 0)) as Tensor1D);
      const dfeatures = tf.matMul(dlogits, parameters.get("linear.weight") as never, false, true);
      const perMap = tf.reshape(tf.div(dfeatures, height * width), [count, 1, 1, channels]);
      return tf.tile(perMap, [1, height, width, 1]) as Tensor4D;
    });
    if (pass.last) g = replace(g, norm("bn", pass.last, g));

    for (let i = this.blocks.length - 1; i >= 0; i--) {
      const block = this.blocks[i]!;
      const cache = pass.blocks[i]!;
      const next = tf.tidy(() => (this.pre ? preBackward : postBackward)(block, cache, g, conv, norm, this.constants));
      g.dispose();
      g = next;
      freeNorm(cache.first);
      freeNorm(cache.second);
      cache.output?.dispose();
    }
    if (pass.stem) g = replace(g, norm("bn1", pass.stem, g));
    conv("conv1", pass.images, g, 1, false);
    g.dispose();
    this.free(pass);
    return gradients;
  }

  /** Frees a forward pass whose backward pass is not wanted, or what the backward pass left of it. */
  free(pass: ForwardPass): void {
    tf.dispose([pass.images, pass.features, pass.logits]);
    for (const { first, second, output } of pass.blocks) {
      freeNorm(first);
      freeNorm(second);
      output?.dispose();
    }
    if (pass.stem) freeNorm(pass.stem);
    if (pass.last) freeNorm(pass.last);
    for (const { mean, variance } of pass.statistics.values()) tf.dispose([mean, variance]);
  }

  dispose(): void {
    tf.dispose([...this.constants.values()]);
  }

  private gradientsInto(gradients: Map<string, Tensor>, parameters: Parameters): LayerGradients {
    return {
      conv: (name, x, dy, stride, wanted) => {
        const weight = filter(parameters, name);
        gradients.set(`${name}.weight`, tf.keep(filterGradient(x, dy, weight, stride)));
        return wanted ? inputGradient(dy, weight, stride) : dy;
      },
      norm: (name, cache, dy) => {
        const { dx, weight, bias } = normBackward(dy, cache, vector(parameters, `${name}.weight`));
        gradients.set(`${name}.weight`, tf.keep(weight));
        gradients.set(`${name}.bias`, tf.keep(bias));
        return dx;
      },
    };
  }
}

interface LayerGradients {
  /** Notes the filter's gradient and returns that of the input when `wanted`. */
  conv(name: string, x: Tensor4D, dy: Tensor4D, stride: 1 | 2, wanted: boolean): Tensor4D;
  /** Notes the gradients of weight and bias and returns that of the input. */
  norm(name: string, cache: NormCache, dy: Tensor4D): Tensor4D;
}

function preBackward(
  { name, stride, shortcut }: Block,
  { first, second }: BlockCache,
  g: Tensor4D,
  conv: LayerGradients["conv"],
  norm: LayerGradients["norm"],
): Tensor4D {
  const middle = norm(`${name}.bn2`, second, conv(`${name}.conv2`, second.output, g, 1, true));
  let entry = conv(`${name}.conv1`, first.output, middle, stride, true);
  if (shortcut === "projection") entry = tf.add(entry, conv(`${name}.shortcut.0`, first.output, g, stride, true));
  const dx = norm(`${name}.bn1`, first, entry);
  return shortcut === "identity" ? tf.add(dx, g) : dx;
}

function postBackward(
  { name, stride, shortcut }: Block,
  { input, first, second, output }: BlockCache,
  g: Tensor4D,
  conv: LayerGradients["conv"],
  norm: LayerGradients["norm"],
  constants: ReadonlyMap<string, Tensor4D>,
): Tensor4D {
  const masked = maskBy(g, output!);
  const main = norm(`${name}.bn2`, second, masked);
  const middle = norm(`${name}.bn1`, first, conv(`${name}.conv2`, first.output, main, 1, true));
  const dx = conv(`${name}.conv1`, input, middle, stride, true);
  return tf.add(dx, shortcut === "identity" ? masked : inputGradient(masked, constants.get(name)!, stride));
}

function replace(old: Tensor4D, next: Tensor4D): Tensor4D {
  old.dispose();
  return next;
}

function freeNorm({ centred, output, inverse }: NormCache): void {
  tf.dispose([centred, output, inverse]);
}

function filter(parameters: Parameters, name: string): Tensor4D {
  return parameters.get(`${name}.weight`) as Tensor4D;
}

function vector(parameters: Parameters, name: string): Tensor1D {
  return parameters.get(name) as Tensor1D;
}
