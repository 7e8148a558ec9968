// Local descent on the true robust objective of a two-class ReLU network, from a network that is already certified. The convex program keeps
// every neuron's sign fixed on the ball around every sample, so its optimum is only an upper bound on the nonconvex problem; here neurons may
// flip inside the balls. No global claim is made: what is certified is the objective of the result, by branch and bound on every sample
// (worstMargins.ts), and the network given comes back when nothing certifiably better was found.
//   objective   1/n sum_i l(min over ||z||_q <= radius of y_i f(x_i + z)) + beta sum_j ||u_j|| |a_j|
// A round attacks every sample (branch and bound without branching), keeps the last few attacked points, and takes steps of Adam on them.

import {
  type NumericBatch,
  type ProgressEvent,
  type Rng,
  SettingError,
  throwIfAborted,
  type WorkOptions,
} from "@worstcase/core";
import { chooseKernels, type Kernels, workspaceSize } from "@worstcase/linalg";
import { lengthOf, type PerturbationNorm } from "../ballSupport.js";
import { localAttack } from "../certificates/branching.js";
import { LocalPieces } from "../certificates/localPieces.js";
import { checkCertificate, worstMargins } from "../certificates/worstMargins.js";
import { checkKnown, checkModel, checkOptions, checkPositive, checkRng } from "../checks.js";
import type { ReluNetwork } from "../network/reluNetwork.js";
import { Pauses } from "../pauses.js";
import { Adam } from "../penalty/adam.js";
import { withConstant } from "../program/program.js";
import { type MarginLoss, NeuronState, type Points } from "./neuronState.js";

/** Points kept for each sample: the sample itself and the latest attacked ones. */
const SLOTS = 6;
/** First rate of Adam; it falls to zero along a quarter of a cosine. */
const RATE = 0.02;
/** Neurons whose ||u|| |a| is below this share of the largest are dropped. */
const NEGLIGIBLE = 1e-7;

export interface RefineNetworkOptions extends WorkOptions<ProgressEvent> {
  /** Norm of the PERTURBATION: l1, l2, linf or a number q >= 1. */
  readonly norm: PerturbationNorm;
  /** Radius in FEATURE space. */
  readonly radius: number;
  /** Weight of sum_j ||u_j|| |a_j|, > 0: that of the program the network came from. */
  readonly beta: number;
  /** Default `hinge`. */
  readonly loss?: MarginLoss;
  /** Draws the neurons that are added. */
  readonly rng: Rng;
  /** Small random neurons added before the descent (default 50). */
  readonly extraNeurons?: number;
  /** Times that the samples are attacked (default 40), and steps of descent after each (default 50). */
  readonly rounds?: number;
  readonly stepsPerRound?: number;
  /** Relative accuracy of the certified margins (default 1e-4) and convex problems per sample they may take (default 2000). */
  readonly tolerance?: number;
  readonly maximumNodes?: number;
  readonly kernels?: Kernels;
}

export interface CertifiedObjective {
  /** Certified: the robust objective is not larger. */
  readonly upper: number;
  /** Attacked: it is not smaller. */
  readonly lower: number;
}

export interface RefinedNetwork {
  /** `improved`: the certified objective of `network` is below that of the network given, which is returned otherwise. */
  readonly status: "improved" | "unchanged";
  readonly network: ReluNetwork;
  readonly before: CertifiedObjective;
  readonly after: CertifiedObjective;
  readonly rounds: number;
  readonly seconds: number;
}

/**
 * Refines a two-class network on features `[n, d]` and class indices `[n]`. Throws ShapeError, DataError or SettingError before work starts,
 * AbortedError when the signal fires.
 */
export async function refineNetwork(
  network: ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  options: RefineNetworkOptions,
): Promise<RefinedNetwork> {
  const began = performance.now();
  checkModel(network, ["relu-network"], "network");
  checkOptions(options);
  checkRng(options.rng);
  const { norm, radius, rng, extraNeurons = 50, rounds = 40, stepsPerRound = 50, signal, onEvent } = options;
  check(network, features, labels, options);
  const work = { signal, onEvent };
  const points = startingPoints(network, features, labels);
  const neurons = network.neurons + extraNeurons;
  const kernels = options.kernels ?? chooseKernels();
  const workspace = kernels.workspace(workspaceSize(...NeuronState.sizes(neurons, points)));
  const state = new NeuronState(points, neurons, options.beta, options.loss ?? "hinge", workspace);
  begin(state, network, points.width, rng);
  const certify = (candidate: ReluNetwork) => certified(candidate, features, labels, state, options);
  const before = await certify(network);
  const adam = new Adam(state.parameters.length);
  const best = { attacked: Number.POSITIVE_INFINITY, parameters: state.parameters.slice() };
  const pause = new Pauses("refineNetwork", rounds, work);
  for (let round = 0; round <= rounds; round++) {
    if (round < rounds) await pause.at(round);
    attackAll(networkOf(state, network), features, labels, norm, radius, points, round);
    const attacked = state.evaluate();
    if (attacked < best.attacked) {
      best.attacked = attacked;
      best.parameters.set(state.parameters);
    }
    if (round === rounds) break;
    for (let step = 0; step < stepsPerRound; step++) {
      state.evaluate();
      const share = (round + step / stepsPerRound) / rounds;
      adam.step(state.parameters, state.gradient, RATE * Math.cos((share * Math.PI) / 2));
    }
  }
  throwIfAborted(signal, "refineNetwork");
  state.parameters.set(best.parameters);
  const refined = networkOf(state, network);
  const after = await certify(refined);
  const improved = after.upper < before.upper;
  return {
    status: improved ? "improved" : "unchanged",
    network: improved ? refined : network,
    before,
    after: improved ? after : before,
    rounds,
    seconds: (performance.now() - began) / 1000,
  };
}

function check(network: ReluNetwork, features: NumericBatch, labels: Int32Array, options: RefineNetworkOptions): void {
  if (network.classCount !== 2) {
    throw new SettingError({ argument: "network.classCount", expected: "2", received: network.classCount });
  }
  checkCertificate(network, features, labels, options);
  checkKnown(options, { regulariser: "group" }, "the objective is that of fitRelu with group norms");
  const { beta, loss = "hinge", extraNeurons = 50, rounds = 40, stepsPerRound = 50 } = options;
  if (!Number.isFinite(beta) || beta <= 0) {
    throw new SettingError({ argument: "options.beta", expected: "a finite number > 0", received: beta });
  }
  if (loss !== "hinge" && loss !== "logistic") {
    throw new SettingError({ argument: "options.loss", expected: "hinge or logistic", received: loss });
  }
  if (!Number.isSafeInteger(extraNeurons) || extraNeurons < 0 || network.neurons + extraNeurons === 0) {
    const expected = "an integer >= 0, at least 1 for a network without neurons";
    throw new SettingError({ argument: "options.extraNeurons", expected, received: extraNeurons });
  }
  checkPositive(rounds, "options.rounds");
  checkPositive(stepsPerRound, "options.stepsPerRound");
}

/** Every slot holds the samples themselves. */
function startingPoints({ bias }: ReluNetwork, features: NumericBatch, labels: Int32Array): Points {
  const samples = labels.length;
  const own = withConstant(features, bias);
  const inputs = new Float64Array(SLOTS * own.length);
  for (let s = 0; s < SLOTS; s++) inputs.set(own, s * own.length);
  const targets = Float64Array.from(labels, (label) => 2 * label - 1);
  return { slots: SLOTS, samples, width: own.length / samples, inputs, targets };
}

/** Parameters of the network, neurons balanced (||u|| = |a|), and small random ones after them. */
function begin({ parameters, neurons }: NeuronState, network: ReluNetwork, width: number, rng: Rng): void {
  const { first, second } = network;
  let mean = 0;
  for (let j = 0; j < neurons; j++) {
    const known = j < network.neurons;
    const u = parameters.subarray(j * width, (j + 1) * width);
    if (known) u.set(first.subarray(j * width, (j + 1) * width));
    else for (let k = 0; k < width; k++) u[k] = rng.normal();
    const size = lengthOf(u, 0, width, 2) || 1;
    const output = known ? second[network.neurons + j] - second[j] : j % 2 === 0 ? 1 : -1;
    if (known) mean += Math.sqrt(size * Math.abs(output)) / network.neurons;
    const length = known ? Math.sqrt(size * Math.abs(output)) : 0.1 * (mean || 1);
    for (let k = 0; k < width; k++) u[k] *= length / size;
    parameters[neurons * width + j] = Math.sign(output) * length;
  }
}

/** The parameters as a network of two classes, without the neurons that do nothing. */
function networkOf({ parameters, neurons }: NeuronState, { featureCount, bias }: ReluNetwork): ReluNetwork {
  const width = featureCount + (bias ? 1 : 0);
  const sizes = Float64Array.from({ length: neurons }, (_, j) => {
    return lengthOf(parameters, j * width, width, 2) * Math.abs(parameters[neurons * width + j]);
  });
  const least = NEGLIGIBLE * sizes.reduce((most, size) => Math.max(most, size), 0);
  const kept = Array.from(sizes.keys()).filter((j) => sizes[j] > least);
  const first = new Float64Array(kept.length * width);
  const second = new Float64Array(2 * kept.length);
  kept.forEach((j, position) => {
    first.set(parameters.subarray(j * width, (j + 1) * width), position * width);
    second[position] = -parameters[neurons * width + j] / 2;
    second[kept.length + position] = parameters[neurons * width + j] / 2;
  });
  return { kind: "relu-network", featureCount, classCount: 2, neurons: kept.length, bias, first, second };
}

/** Attacks every sample; the points found replace the oldest ones. */
function attackAll(
  network: ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  norm: PerturbationNorm,
  radius: number,
  { samples, width, inputs }: Points,
  round: number,
): void {
  if (network.neurons === 0 || radius === 0) return;
  const { featureCount } = network;
  const local = new LocalPieces(network, features, norm);
  const slot = 1 + (round % (SLOTS - 1));
  for (let i = 0; i < samples; i++) {
    const { point } = localAttack(local.around(i, labels[i], radius), featureCount, norm, radius);
    const to = (slot * samples + i) * width;
    for (let k = 0; k < featureCount; k++) inputs[to + k] = features.data[i * featureCount + k] + point[k];
  }
}

async function certified(
  network: ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  state: NeuronState,
  { norm, radius, beta, tolerance = 1e-4, maximumNodes, signal }: RefineNetworkOptions,
): Promise<CertifiedObjective> {
  const settings = { norm, radius, tolerance, signal, ...(maximumNodes === undefined ? {} : { maximumNodes }) };
  const { lower, upper } = await worstMargins(network, features, labels, settings);
  const { first, second, neurons, featureCount, bias } = network;
  const width = featureCount + (bias ? 1 : 0);
  let regulariser = 0;
  for (let j = 0; j < neurons; j++) {
    regulariser += beta * lengthOf(first, j * width, width, 2) * Math.abs(second[neurons + j] - second[j]);
  }
  const mean = (margins: Float64Array) => margins.reduce((sum, m) => sum + state.lossOf(m), 0) / margins.length;
  return { upper: mean(lower) + regulariser, lower: mean(upper) + regulariser };
}
