// Adam (Kingma and Ba, arXiv 1412.6980) with its usual constants and no weight decay.

const FIRST = 0.9;
const SECOND = 0.999;
const FLOOR = 1e-8;

export class Adam {
  private readonly mean: Float64Array;
  private readonly square: Float64Array;
  private steps = 0;

  constructor(length: number) {
    this.mean = new Float64Array(length);
    this.square = new Float64Array(length);
  }

  /** One step on `point` in place. */
  step(point: Float64Array, gradient: Float64Array, rate: number): void {
    const { mean, square } = this;
    this.steps++;
    const first = 1 - FIRST ** this.steps;
    const second = 1 - SECOND ** this.steps;
    for (let k = 0; k < point.length; k++) {
      const g = gradient[k];
      mean[k] = FIRST * mean[k] + (1 - FIRST) * g;
      square[k] = SECOND * square[k] + (1 - SECOND) * g * g;
      point[k] -= (rate * (mean[k] / first)) / (Math.sqrt(square[k] / second) + FLOOR);
    }
  }
}
