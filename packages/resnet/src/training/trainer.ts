// One training run on the device: parameters, momentum and running statistics, advanced batch by batch.
//   running mean <- 0.9 running mean + 0.1 mean,   running variance <- 0.9 running variance + 0.1 variance n / (n - 1), as in PyTorch

import { tf } from "@worstcase/tensor";
import { type Architecture, inputShape, parameterShapes } from "../architecture.js";
import type { NetworkWeights, WeightTensor } from "../weights.js";
import type { Tensor, Tensor1D } from "./layers.js";
import { crossEntropy } from "./loss.js";
import { type Statistics, TrainingNetwork } from "./network.js";
import { fromDevice, isStatistic, toDevice } from "./parameters.js";
import { ascend, type SgdSettings, sgdStep } from "./sgd.js";

const statisticsMomentum = 0.1;

export interface StepSettings extends SgdSettings {
  /** In [0, 1). */
  readonly labelSmoothing: number;
  /** Radius of the SAM ascent in parameter space; 0 for plain SGD. */
  readonly rho: number;
}

export interface StepOutcome {
  /** Mean loss of the batch before the step; not finite when the run diverged, and then no step was made. */
  readonly loss: number;
  readonly correct: number;
}

export class Trainer {
  private readonly network: TrainingNetwork;
  private readonly parameters = new Map<string, Tensor>();
  private readonly velocities = new Map<string, Tensor>();

  /** Copies the weights (and momentum buffers, when resuming) to the current backend. */
  constructor(
    private readonly architecture: Architecture,
    weights: NetworkWeights,
    velocities: NetworkWeights,
  ) {
    this.network = new TrainingNetwork(architecture);
    for (const name of parameterShapes(architecture).keys()) {
      this.parameters.set(name, toDevice(weights.get(name)!));
      const velocity = velocities.get(name);
      if (velocity) this.velocities.set(name, toDevice(velocity));
    }
  }

  /** One step on normalised images [n, 32, 32, 3] with class indices [n]. */
  async step(images: Float32Array, labels: Int32Array, rate: number, settings: StepSettings): Promise<StepOutcome> {
    const { gradients, ...outcome } = await this.gradients(this.parameters, images, labels, settings, true);
    if (!gradients) return outcome;
    if (settings.rho === 0) {
      sgdStep(this.parameters, this.velocities, gradients, rate, settings);
      return outcome;
    }
    const ascended = ascend(this.parameters, gradients, settings.rho);
    tf.dispose([...gradients.values()]);
    const second = await this.gradients(ascended, images, labels, settings, false);
    tf.dispose([...ascended.values()]);
    if (!second.gradients) return { loss: second.loss, correct: outcome.correct };
    sgdStep(this.parameters, this.velocities, second.gradients, rate, settings);
    return outcome;
  }

  /** Weights and momentum buffers in PyTorch's layouts. */
  async export(): Promise<{ weights: Map<string, WeightTensor>; velocities: Map<string, WeightTensor> }> {
    const weights = new Map<string, WeightTensor>();
    const velocities = new Map<string, WeightTensor>();
    for (const name of parameterShapes(this.architecture).keys()) {
      weights.set(name, await fromDevice(this.parameters.get(name)!));
      const velocity = this.velocities.get(name);
      if (velocity) velocities.set(name, await fromDevice(velocity));
    }
    return { weights, velocities };
  }

  dispose(): void {
    tf.dispose([...this.parameters.values(), ...this.velocities.values()]);
    this.network.dispose();
  }

  private async gradients(
    parameters: ReadonlyMap<string, Tensor>,
    images: Float32Array,
    labels: Int32Array,
    { labelSmoothing }: StepSettings,
    updateStatistics: boolean,
  ): Promise<StepOutcome & { gradients: Map<string, Tensor> | null }> {
    const pass = this.network.forward(parameters, tf.tensor4d(images, [labels.length, ...inputShape]));
    const { loss, correct, gradient } = crossEntropy(await pass.logits.data(), labels, labelSmoothing);
    if (!Number.isFinite(loss)) {
      this.network.free(pass);
      return { loss, correct, gradients: null };
    }
    if (updateStatistics) this.updateStatistics(pass.statistics);
    return { loss, correct, gradients: this.network.backward(parameters, pass, gradient) };
  }

  private updateStatistics(statistics: Statistics): void {
    for (const [name, { mean, variance, count }] of statistics) {
      this.mix(`${name}.running_mean`, mean, 1);
      this.mix(`${name}.running_var`, variance, count / Math.max(1, count - 1));
    }
  }

  private mix(name: string, value: Tensor1D, factor: number): void {
    const old = this.parameters.get(name)!;
    const next = tf.tidy(() =>
      tf.add(tf.mul(old, 1 - statisticsMomentum), tf.mul(value, statisticsMomentum * factor)),
    ) as Tensor;
    old.dispose();
    this.parameters.set(name, next);
  }
}

/** Whether every value is finite; running statistics included. */
export function allFinite(weights: NetworkWeights): boolean {
  for (const [name, { data }] of weights) {
    if (!data.every(Number.isFinite)) return false;
    if (isStatistic(name) && name.endsWith("running_var") && data.some((value) => value < 0)) return false;
  }
  return true;
}
