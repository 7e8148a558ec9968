// Stochastic gradient descent with momentum as PyTorch defines it, and the ascent step of sharpness-aware minimisation (SAM, arXiv 2010.01412).
//   g <- g + decay w;   v <- momentum v + g (first step: v = g);   w <- w - rate (Nesterov: g + momentum v, else v)
//   SAM: gradients are taken at w + rho g / |g|, |g| over all parameters, and applied at w

import { tf } from "@worstcase/tensor";
import type { Tensor } from "./layers.js";
import { isStatistic } from "./parameters.js";

export interface SgdSettings {
  /** In [0, 1). */
  readonly momentum: number;
  readonly nesterov: boolean;
  /** Factor on the weights added to their gradients, >= 0. */
  readonly weightDecay: number;
  /** Which parameters decay: filters and the linear weight, or norms and biases too. */
  readonly decayed: "weights" | "all";
}

/** One step in place; `velocities` are created at the first step. Consumes the gradients. */
export function sgdStep(
  parameters: Map<string, Tensor>,
  velocities: Map<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
  rate: number,
  { momentum, nesterov, weightDecay, decayed }: SgdSettings,
): void {
  for (const [name, gradient] of gradients) {
    const weight = parameters.get(name)!;
    const velocity = velocities.get(name);
    const decay = decayed === "all" || weight.rank > 1 ? weightDecay : 0;
    const [next, kept] = tf.tidy(() => {
      const g = decay === 0 ? gradient : (tf.add(gradient, tf.mul(weight, decay)) as Tensor);
      const v = velocity && momentum > 0 ? (tf.add(tf.mul(velocity, momentum), g) as Tensor) : (tf.clone(g) as Tensor);
      const direction = nesterov ? tf.add(g, tf.mul(v, momentum)) : v;
      return [tf.sub(weight, tf.mul(direction, rate)) as Tensor, v];
    }) as [Tensor, Tensor];
    tf.dispose([weight, gradient]);
    velocity?.dispose();
    parameters.set(name, next);
    if (momentum > 0) velocities.set(name, kept);
    else kept.dispose();
  }
}

/** w + rho g / (|g| + 1e-12) for every parameter with a gradient, as new tensors; the gradients are left alone. */
export function ascend(
  parameters: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
  rho: number,
): Map<string, Tensor> {
  const factor = tf.tidy(() => {
    const squares = [...gradients.values()].map((gradient) => tf.sum(tf.square(gradient)));
    return tf.div(rho, tf.add(tf.sqrt(tf.addN(squares)), 1e-12));
  });
  const ascended = new Map<string, Tensor>();
  for (const [name, weight] of parameters) {
    if (isStatistic(name)) continue;
    ascended.set(
      name,
      tf.tidy(() => tf.add(weight, tf.mul(gradients.get(name)!, factor)) as Tensor),
    );
  }
  factor.dispose();
  return ascended;
}
