// Step sizes of APGD for linf and l2 (arXiv 2003.01690, section 4.1). The first is 2 epsilon. At checkpoints after 22 % of the steps,
// then after periods that shrink by 3 % of the steps to at least 6 %, a sample's step size is halved and its search returns to its
// best point when
//   fewer than a fraction `halving` of the steps of the period raised the loss, or
//   the step size was not halved at the last checkpoint and the best loss has not risen since.

export class StepSchedule {
  /** `[samples]` */
  readonly stepSize: Float64Array;
  private readonly rises: Int32Array;
  private readonly halved: Uint8Array;
  private readonly lossBefore: Float64Array;
  private period: number;
  private readonly shrink: number;
  private readonly shortest: number;
  private passed = 0;
  private checked = 0;

  /** `bestLoss` is read once, at the start. */
  constructor(
    bestLoss: Float64Array,
    epsilon: number,
    steps: number,
    private readonly halving: number,
  ) {
    this.stepSize = new Float64Array(bestLoss.length).fill(2 * epsilon);
    this.rises = new Int32Array(bestLoss.length);
    this.halved = new Uint8Array(bestLoss.length).fill(1);
    this.lossBefore = bestLoss.slice();
    this.period = Math.max(1, Math.floor(0.22 * steps));
    this.shrink = Math.max(1, Math.floor(0.03 * steps));
    this.shortest = Math.max(1, Math.floor(0.06 * steps));
  }

  record(sample: number, rose: boolean): void {
    if (rose) this.rises[sample]++;
  }

  /** Call once per step, after `record`. */
  atCheckpoint(): boolean {
    if (++this.passed < this.period) return false;
    this.checked = this.period;
    this.period = Math.max(this.period - this.shrink, this.shortest);
    this.passed = 0;
    return true;
  }

  /** At a checkpoint: whether the sample's step size was halved now. */
  check(sample: number, bestLoss: number): boolean {
    const few = this.rises[sample] <= this.halving * this.checked;
    const stuck = !this.halved[sample] && this.lossBefore[sample] >= bestLoss;
    this.rises[sample] = 0;
    this.lossBefore[sample] = bestLoss;
    this.halved[sample] = few || stuck ? 1 : 0;
    if (few || stuck) this.stepSize[sample] /= 2;
    return few || stuck;
  }
}
