// Turns weights into the filters and biases of inference, as plain arrays. Frozen batch normalisation is affine,
//   y = s * x + t,  s = weight / sqrt(running_var + 1e-5),  t = bias - running_mean * s,
// so a norm after a convolution disappears into its filter and bias. A norm before a ReLU that starts a pre-activation block stays (`entry`).
// Filters become [height, width, in, out]; the filters of the backward pass are prepared here once.

import { SettingError } from "@worstcase/core";
import { type Architecture, blocksOf, orderOf, stageChannels } from "./architecture.js";
import type { NetworkWeights } from "./weights.js";

/** Added to the variance, as in PyTorch. */
export const normEpsilon = 1e-5;

export interface Normalisation {
  /** Subtracted from each colour channel, in pixel units [0, 1]. */
  readonly mean: readonly [number, number, number];
  /** Divides each colour channel after that. */
  readonly std: readonly [number, number, number];
}

export interface PlainArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface Affine {
  /** [channels]. */
  readonly scale: PlainArray;
  readonly shift: PlainArray;
}

export interface FoldedBlock {
  readonly stride: 1 | 2;
  /** Norm at the start of a pre-activation block, else null. */
  readonly entry: Affine | null;
  /** [3, 3, in, out]. */
  readonly first: PlainArray;
  readonly firstBias: PlainArray;
  readonly second: PlainArray;
  readonly secondBias: PlainArray | null;
  /** Shortcut as a 1 x 1 convolution [1, 1, in, out], or null for the identity; zero-padded channels are a matrix of zeros and ones. */
  readonly shortcut: PlainArray | null;
  /** Backward filters: [3, 3, out, in] for stride 1, [2, 2, out, 4 in] for stride 2 (see `halfPixelFilter`); scaled by the entry norm. */
  readonly firstBack: PlainArray;
  readonly secondBack: PlainArray;
  /** [1, 1, out, 4 in]. */
  readonly shortcutBack: PlainArray | null;
}

export interface FoldedNetwork {
  readonly order: "pre-activation" | "post-activation";
  readonly featureCount: number;
  /** Subtracted from the pixels; the division by std is in the stem filter. */
  readonly pixelMean: PlainArray;
  readonly stem: PlainArray;
  readonly stemBias: PlainArray;
  readonly stemBack: PlainArray;
  readonly blocks: readonly FoldedBlock[];
  readonly finalNorm: Affine | null;
}

/** Throws SettingError unless mean and std hold three finite numbers each, std above 0. */
export function checkNormalisation(normalisation: Normalisation, argument: string): void {
  for (const part of ["mean", "std"] as const) {
    const values = normalisation?.[part];
    const valid = (value: unknown) => Number.isFinite(value) && (part === "mean" || (value as number) > 0);
    if (!Array.isArray(values) || values.length !== 3 || !values.every(valid)) {
      const expected = `three finite numbers${part === "std" ? " > 0" : ""}, one per colour channel, in pixel units [0, 1]`;
      throw new SettingError({ argument: `${argument}.${part}`, expected, received: values });
    }
  }
}

/** Folds checked weights (see `checkWeights`). */
export function foldNetwork(
  architecture: Architecture,
  weights: NetworkWeights,
  normalisation: Normalisation,
): FoldedNetwork {
  const order = orderOf(architecture);
  const pre = order === "pre-activation";
  const vector = (name: string) => weights.get(name)!.data;
  const norm = (name: string): Affine => {
    const [weight, bias] = [vector(`${name}.weight`), vector(`${name}.bias`)];
    const [mean, variance] = [vector(`${name}.running_mean`), vector(`${name}.running_var`)];
    const scale = Float64Array.from(weight, (value, i) => value / Math.sqrt(variance[i]! + normEpsilon));
    return { scale: array(scale), shift: array(Float64Array.from(bias, (value, i) => value - mean[i]! * scale[i]!)) };
  };
  const inverseStd = normalisation.std.map((value) => 1 / value);
  const stemNorm = pre ? null : norm("bn1");
  const stem = filterOf(weights, "conv1.weight", inverseStd, stemNorm?.scale.data);
  const blocks = blocksOf(architecture).map(({ name, inChannels, outChannels, stride, shortcut }): FoldedBlock => {
    const entry = pre ? norm(`${name}.bn1`) : null;
    const afterFirst = norm(`${name}.${pre ? "bn2" : "bn1"}`);
    const afterSecond = pre ? null : norm(`${name}.bn2`);
    const first = filterOf(weights, `${name}.conv1.weight`, undefined, afterFirst.scale.data);
    const second = filterOf(weights, `${name}.conv2.weight`, undefined, afterSecond?.scale.data);
    let side: PlainArray | null = null;
    if (shortcut === "projection") side = filterOf(weights, `${name}.shortcut.0.weight`);
    if (shortcut === "zero-padding") side = paddingFilter(inChannels, outChannels);
    const entryScale = entry?.scale.data;
    return {
      stride,
      entry,
      first,
      firstBias: afterFirst.shift,
      second,
      secondBias: afterSecond?.shift ?? null,
      shortcut: side,
      firstBack: stride === 1 ? reversedFilter(first, entryScale) : halfPixelFilter(first, entryScale),
      secondBack: reversedFilter(second),
      shortcutBack: side && halfPixelFilter(side, entryScale),
    };
  });
  const channels = stageChannels(architecture);
  return {
    order,
    featureCount: channels.at(-1)!,
    pixelMean: array(Float64Array.from(normalisation.mean)),
    stem,
    stemBias: stemNorm?.shift ?? array(new Float64Array(channels[0]!)),
    stemBack: reversedFilter(stem),
    blocks,
    finalNorm: architecture.finalNorm ? norm("bn") : null,
  };
}

function array(values: Float64Array): PlainArray {
  return { shape: [values.length], data: Float32Array.from(values) };
}

/** [out, in, h, w] to [h, w, in, out], with optional factors on input and output channels. */
function filterOf(
  weights: NetworkWeights,
  name: string,
  inScale?: ArrayLike<number>,
  outScale?: ArrayLike<number>,
): PlainArray {
  const { shape, data } = weights.get(name)!;
  const [outs, ins, height, width] = shape as [number, number, number, number];
  const result = new Float32Array(data.length);
  for (let o = 0; o < outs; o++) {
    for (let i = 0; i < ins; i++) {
      const factor = (inScale?.[i] ?? 1) * (outScale?.[o] ?? 1);
      for (let p = 0; p < height * width; p++) {
        result[(p * ins + i) * outs + o] = data[(o * ins + i) * height * width + p]! * factor;
      }
    }
  }
  return { shape: [height, width, ins, outs], data: result };
}

/** Copies channel i to channel i + (outs - ins) / 2. */
export function paddingFilter(ins: number, outs: number): PlainArray {
  const data = new Float32Array(ins * outs);
  for (let i = 0; i < ins; i++) data[i * outs + i + (outs - ins) / 2] = 1;
  return { shape: [1, 1, ins, outs], data };
}

/** Filter of the gradient with respect to the input for stride 1: [h, w, in, out] to [h, w, out, in], taps reversed; `inScale` multiplies the result's channels. */
function reversedFilter({ shape, data }: PlainArray, inScale?: ArrayLike<number>): PlainArray {
  const [height, width, ins, outs] = shape as [number, number, number, number];
  const taps = height * width;
  const result = new Float32Array(data.length);
  for (let p = 0; p < taps; p++) {
    for (let i = 0; i < ins; i++) {
      for (let o = 0; o < outs; o++) {
        result[((taps - 1 - p) * outs + o) * ins + i] = data[(p * ins + i) * outs + o]! * (inScale?.[i] ?? 1);
      }
    }
  }
  return { shape: [height, width, outs, ins], data: result };
}

// For each parity of an input row (even, odd), the filter row that reaches it from output rows j and j + 1; -1 for none.
// With padding 1: out[j] = sum_k in[2j - 1 + k] w[k]. A 1 x 1 filter reaches even rows only.
const rowOfTap = {
  1: [[0], [-1]],
  3: [
    [1, -1],
    [2, 0],
  ],
} as const;

/**
 * Filter of the gradient with respect to the input for stride 2, input size even: a convolution of the output gradient that gives the four input pixels
 * (even/odd row, even/odd column) of each output pixel as channels [row parity, column parity, in]. [3, 3, in, out] to [2, 2, out, 4 in], [1, 1, in, out] to [1, 1, out, 4 in].
 */
function halfPixelFilter({ shape, data }: PlainArray, inScale?: ArrayLike<number>): PlainArray {
  const [size, , ins, outs] = shape as [1 | 3, number, number, number];
  const rows: readonly (readonly number[])[] = rowOfTap[size];
  const taps = rows[0]!.length;
  const result = new Float32Array(taps * taps * outs * 4 * ins);
  for (let u = 0; u < taps; u++) {
    for (let v = 0; v < taps; v++) {
      for (let parity = 0; parity < 4; parity++) {
        const row = rows[parity >> 1]![u]!;
        const column = rows[parity & 1]![v]!;
        if (row < 0 || column < 0) continue;
        for (let o = 0; o < outs; o++) {
          for (let i = 0; i < ins; i++) {
            const value = data[((row * size + column) * ins + i) * outs + o]! * (inScale?.[i] ?? 1);
            result[((u * taps + v) * outs + o) * 4 * ins + parity * ins + i] = value;
          }
        }
      }
    }
  }
  return { shape: [taps, taps, outs, 4 * ins], data: result };
}
