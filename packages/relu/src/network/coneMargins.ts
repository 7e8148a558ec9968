// What searches have found about the largest margins of gates, margin(v) = min_i s_i x_i'v / ||v||_{q*} (openCones.ts). A margin does not depend on
// the radius, so what was found at one radius can settle a gate at another.

/** Share of the largest margin above the radius that is good enough for a direction. */
const QUALITY = 0.5;

export class ConeMargins {
  /** Margin of the best direction known, by gate. */
  private readonly lower: Float64Array;
  /** No direction has a larger one. */
  private readonly upper: Float64Array;
  /** `[P, D]` */
  private readonly directions: Float64Array;

  constructor(
    gateCount: number,
    private readonly width: number,
    /** Samples whose cones count: with others the margins are others. */
    readonly rows: number,
  ) {
    this.lower = new Float64Array(gateCount).fill(Number.NEGATIVE_INFINITY);
    this.upper = new Float64Array(gateCount).fill(Number.POSITIVE_INFINITY);
    this.directions = new Float64Array(gateCount * width);
  }

  found(p: number, lower: number, direction: Float64Array): void {
    if (!(lower > this.lower[p])) return;
    this.lower[p] = lower;
    this.directions.set(direction, p * this.width);
  }

  excluded(p: number, upper: number): void {
    this.upper[p] = Math.min(this.upper[p], upper);
  }

  verdict(p: number, radius: number): "open" | "closed" | "unknown" {
    if (isOpen(this.lower[p], this.upper[p], radius)) return "open";
    return isClosed(this.upper[p], radius) ? "closed" : "unknown";
  }

  direction(p: number): Float64Array {
    return this.directions.slice(p * this.width, (p + 1) * this.width);
  }
}

/** Whether a direction of margin `lower` is inside and near enough to the best one. */
export function isOpen(lower: number, upper: number, radius: number): boolean {
  return lower > radius && lower - radius >= QUALITY * (upper - radius);
}

export function isClosed(upper: number, radius: number): boolean {
  return upper < radius * (1 - 1e-12);
}
