// Fewer neurons with a bound on what changes. Neurons that point the same way are merged exactly: second_j max(0, u_j'x) + second_k max(0,
// (a u_j)'x) = (second_j + a second_k) max(0, u_j'x) for a > 0. Then neurons are left out, least influence first, as long as on every ball
//   max over samples i and classes c of  sum over removed j of |second_cj| max(0, u_j'x_i + r ||u_j||_{q*})  <=  tolerance,
// which bounds the change of every score there. A Weston-Watkins loss of slope at most 1 (hinge, logistic) then changes by at most
//   1/n sum_i sum_{c != y_i} (S_iy + S_ic),  S the sums above.
// first u: [neurons, d (+1)]   second: [classes, neurons]   S: [n, classes]

import { checkLabels, type NumericBatch, SettingError, sampleCount } from "@worstcase/core";
import { ballSupport, checkBall, type PerturbationNorm } from "../ballSupport.js";
import { checkFeatures, checkModel, checkOptions } from "../checks.js";
import type { ReluNetwork } from "../network/reluNetwork.js";
import { withConstant } from "../program/program.js";

export interface PruneNetworkOptions {
  /** Largest change of any score on the balls around the samples, >= 0. */
  readonly tolerance: number;
  /** Balls (default radius 0: the samples themselves). */
  readonly norm?: PerturbationNorm;
  readonly radius?: number;
  /** With labels, the change of the loss is bounded as well. */
  readonly labels?: Int32Array;
}

export interface PrunedNetwork {
  readonly network: ReluNetwork;
  /** Neurons merged into another one, without any change of the function but rounding. */
  readonly merged: number;
  readonly removed: number;
  /** Bound on the change of every score on the balls, at most the tolerance. */
  readonly scoreChange: number;
  /** Bound on the change of the mean Weston-Watkins hinge or logistic loss, robust over the balls; undefined without labels. */
  readonly lossChange?: number;
  /** By how much sum_j ||u_j|| sum_c |second_cj| fell: times beta, what the regulariser gains. */
  readonly normDecrease: number;
}

/** Throws ShapeError, DataError or SettingError. */
export function pruneNetwork(
  network: ReluNetwork,
  features: NumericBatch,
  options: PruneNetworkOptions,
): PrunedNetwork {
  checkModel(network, ["relu-network"], "network");
  checkOptions(options);
  const { tolerance, norm = "l2", radius = 0, labels } = options;
  checkFeatures(features, network.featureCount);
  checkBall(norm, radius, "options.");
  if (!(tolerance >= 0)) {
    throw new SettingError({ argument: "options.tolerance", expected: "a number >= 0", received: tolerance });
  }
  const samples = sampleCount(features);
  if (labels) checkLabels(labels, samples, network.classCount, "options.labels");
  const joined = mergeNeurons(network);
  const { featureCount, classCount, bias, first, second, neurons } = joined;
  const width = featureCount + (bias ? 1 : 0);
  const inputs = withConstant(features, bias);
  // largest activation of each neuron on the ball of each sample, [neurons, n]
  const peaks = new Float64Array(neurons * samples);
  const influence = new Float64Array(neurons);
  for (let j = 0; j < neurons; j++) {
    const reach = ballSupport(first, j * width, featureCount, norm, radius);
    let peak = 0;
    for (let i = 0; i < samples; i++) {
      let sum = reach;
      for (let k = 0; k < width; k++) sum += first[j * width + k] * inputs[i * width + k];
      peaks[j * samples + i] = Math.max(0, sum);
      peak = Math.max(peak, sum);
    }
    for (let c = 0; c < classCount; c++)
      influence[j] = Math.max(influence[j], Math.abs(second[c * neurons + j]) * peak);
  }
  const sums = new Float64Array(samples * classCount);
  const kept = new Uint8Array(neurons).fill(1);
  const order = Array.from(influence.keys()).sort((a, b) => influence[a] - influence[b]);
  let scoreChange = 0;
  for (const j of order) {
    if (influence[j] > tolerance) break;
    let largest = 0;
    for (let i = 0; i < samples; i++) {
      for (let c = 0; c < classCount; c++) {
        const sum = sums[i * classCount + c] + Math.abs(second[c * neurons + j]) * peaks[j * samples + i];
        largest = Math.max(largest, sum);
      }
    }
    if (largest > tolerance) continue;
    for (let i = 0; i < samples; i++) {
      for (let c = 0; c < classCount; c++) {
        sums[i * classCount + c] += Math.abs(second[c * neurons + j]) * peaks[j * samples + i];
      }
    }
    scoreChange = Math.max(scoreChange, largest);
    kept[j] = 0;
  }
  const smaller = select(joined, kept);
  return {
    network: smaller,
    merged: network.neurons - neurons,
    removed: neurons - smaller.neurons,
    scoreChange,
    ...(labels ? { lossChange: lossChange(sums, labels, classCount) } : {}),
    normDecrease: totalNorm(network) - totalNorm(smaller),
  };
}

function lossChange(sums: Float64Array, labels: Int32Array, classCount: number): number {
  let total = 0;
  labels.forEach((label, i) => {
    for (let c = 0; c < classCount; c++) {
      if (c !== label) total += sums[i * classCount + label] + sums[i * classCount + c];
    }
  });
  return total / labels.length;
}

function mergeNeurons(network: ReluNetwork): ReluNetwork {
  const { neurons, featureCount, classCount, bias, first } = network;
  const width = featureCount + (bias ? 1 : 0);
  const sizes = Float64Array.from({ length: neurons }, (_, j) =>
    Math.hypot(...first.subarray(j * width, (j + 1) * width)),
  );
  const second = network.second.slice();
  const kept = new Uint8Array(neurons);
  for (let j = 0; j < neurons; j++) {
    if (sizes[j] === 0) continue; // a neuron that never fires
    let target = -1;
    for (let other = 0; other < j && target < 0; other++) {
      if (kept[other] === 0) continue;
      let difference = 0;
      for (let k = 0; k < width; k++) {
        difference = Math.max(
          difference,
          Math.abs(first[j * width + k] / sizes[j] - first[other * width + k] / sizes[other]),
        );
      }
      if (difference <= 1e-14) target = other;
    }
    if (target < 0) kept[j] = 1;
    else {
      for (let c = 0; c < classCount; c++) {
        second[c * neurons + target] += (sizes[j] / sizes[target]) * second[c * neurons + j];
      }
    }
  }
  return select({ ...network, second }, kept);
}

function select(network: ReluNetwork, kept: Uint8Array): ReluNetwork {
  const { neurons, featureCount, classCount, bias, first, second } = network;
  const width = featureCount + (bias ? 1 : 0);
  const chosen = Array.from({ length: neurons }, (_, j) => j).filter((j) => kept[j] === 1);
  const smaller = {
    first: new Float64Array(chosen.length * width),
    second: new Float64Array(classCount * chosen.length),
  };
  chosen.forEach((j, to) => {
    smaller.first.set(first.subarray(j * width, (j + 1) * width), to * width);
    for (let c = 0; c < classCount; c++) smaller.second[c * chosen.length + to] = second[c * neurons + j];
  });
  return { ...network, ...smaller, neurons: chosen.length };
}

function totalNorm({ neurons, featureCount, classCount, bias, first, second }: ReluNetwork): number {
  const width = featureCount + (bias ? 1 : 0);
  let total = 0;
  for (let j = 0; j < neurons; j++) {
    const size = Math.hypot(...first.subarray(j * width, (j + 1) * width));
    for (let c = 0; c < classCount; c++) total += size * Math.abs(second[c * neurons + j]);
  }
  return total;
}
