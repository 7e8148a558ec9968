// Limited-memory BFGS with a weak Wolfe bisection line search, for functions that are smooth but strongly curved.
// All memory is taken once, for the longest vector expected.

interface LbfgsResult {
  readonly value: number;
  readonly steps: number;
}

const memory = 12;
const sufficientDecrease = 1e-4;
const curvature = 0.9;

/** Memory of minimisations of at most so many variables. A class, so that it stays compiled from one fit to the next. */
export class Lbfgs {
  private readonly steps: Float64Array[];
  private readonly changes: Float64Array[];
  private readonly rho = new Float64Array(memory);
  private readonly alpha = new Float64Array(memory);
  private readonly gradient: Float64Array;
  private readonly trialGradient: Float64Array;
  private readonly direction: Float64Array;
  private readonly trial: Float64Array;

  constructor(maxLength: number) {
    const vectors = (count: number) => Array.from({ length: count }, () => new Float64Array(maxLength));
    this.steps = vectors(memory);
    this.changes = vectors(memory);
    [this.gradient, this.trialGradient, this.direction, this.trial] = vectors(4);
  }

  /**
   * Minimises from `x` in place (first `length` entries). `evaluate(x, gradient)` returns the value; on return it was
   * last called at the final x. `smallDecrease`: stop after three steps in a row that gain less. `shouldStop` is asked
   * before each step.
   */
  minimise(
    evaluate: (x: Float64Array, gradient: Float64Array) => number,
    x: Float64Array,
    length: number,
    options: { readonly maxSteps: number; readonly smallDecrease: number; readonly shouldStop?: () => boolean },
  ): LbfgsResult {
    const { steps, changes, rho, gradient, trialGradient, direction, trial } = this;
    const { maxSteps, smallDecrease, shouldStop } = options;
    let value = evaluate(x, gradient);
    let stored = 0;
    let newest = -1;
    let small = 0;
    let done = 0;
    for (; done < maxSteps && !shouldStop?.(); done++) {
      this.twoLoop(stored, newest, length);
      if (stored === 0) {
        const size = Math.sqrt(dot(gradient, gradient, length));
        if (!(size > 0)) break;
        const scale = (0.1 * (1 + Math.sqrt(dot(x, x, length)))) / size;
        scaleBy(direction, scale, length);
      }
      let slope = dot(gradient, direction, length);
      if (!(slope < 0)) {
        stored = 0;
        negate(direction, gradient, length);
        slope = dot(gradient, direction, length);
        if (!(slope < 0)) break;
      }
      let step = 1;
      let low = 0;
      let high = Number.POSITIVE_INFINITY;
      let next = Number.POSITIVE_INFINITY;
      for (let search = 0; search < (stored ? 20 : 40); search++) {
        goAlong(trial, x, step, direction, length);
        next = evaluate(trial, trialGradient);
        if (!(next <= value + sufficientDecrease * step * slope)) high = step;
        else if (dot(trialGradient, direction, length) < curvature * slope) low = step;
        else break;
        // Curvature is about 1 / width of the hinge: shrink fast until a first pair is known.
        step = high < Number.POSITIVE_INFINITY ? (stored || low > 0 ? 0.5 * (low + high) : 0.2 * high) : 2 * step;
      }
      if (!(next <= value)) {
        // No decrease found: restore the caller's state at x. Once with cleared memory, then stop.
        if (stored > 0) {
          stored = 0;
          value = evaluate(x, gradient);
          continue;
        }
        value = evaluate(x, gradient);
        break;
      }
      newest = (newest + 1) % memory;
      const s = steps[newest];
      const y = changes[newest];
      subtract(s, trial, x, length);
      subtract(y, trialGradient, gradient, length);
      copy(x, trial, length);
      copy(gradient, trialGradient, length);
      const sy = dot(s, y, length);
      if (sy > 1e-14 * dot(y, y, length)) {
        rho[newest] = 1 / sy;
        stored = Math.min(memory, stored + 1);
      } else {
        // The slot just written held the oldest pair when the memory was full.
        newest = (newest + memory - 1) % memory;
        stored = Math.min(stored, memory - 1);
      }
      small = value - next < smallDecrease ? small + 1 : 0;
      value = next;
      if (small >= 3) break;
    }
    return { value, steps: done };
  }

  /** direction <- -(inverse Hessian estimate) gradient. */
  private twoLoop(stored: number, newest: number, length: number): void {
    const { steps, changes, rho, alpha, gradient, direction } = this;
    negate(direction, gradient, length);
    if (stored === 0) return;
    for (let t = 0; t < stored; t++) {
      const k = (newest - t + memory) % memory;
      alpha[k] = rho[k] * dot(steps[k], direction, length);
      add(direction, -alpha[k], changes[k], length);
    }
    const scale = 1 / (rho[newest] * dot(changes[newest], changes[newest], length));
    scaleBy(direction, scale, length);
    for (let t = stored - 1; t >= 0; t--) {
      const k = (newest - t + memory) % memory;
      add(direction, alpha[k] - rho[k] * dot(changes[k], direction, length), steps[k], length);
    }
  }
}

function dot(a: Float64Array, b: Float64Array, length: number): number {
  let total = 0;
  for (let i = 0; i < length; i++) total += a[i] * b[i];
  return total;
}

function add(target: Float64Array, factor: number, source: Float64Array, length: number): void {
  for (let i = 0; i < length; i++) target[i] += factor * source[i];
}

function goAlong(target: Float64Array, x: Float64Array, step: number, direction: Float64Array, length: number): void {
  for (let i = 0; i < length; i++) target[i] = x[i] + step * direction[i];
}

function negate(target: Float64Array, source: Float64Array, length: number): void {
  for (let i = 0; i < length; i++) target[i] = -source[i];
}

function scaleBy(target: Float64Array, factor: number, length: number): void {
  for (let i = 0; i < length; i++) target[i] *= factor;
}

function subtract(target: Float64Array, one: Float64Array, two: Float64Array, length: number): void {
  for (let i = 0; i < length; i++) target[i] = one[i] - two[i];
}

function copy(target: Float64Array, source: Float64Array, length: number): void {
  for (let i = 0; i < length; i++) target[i] = source[i];
}
