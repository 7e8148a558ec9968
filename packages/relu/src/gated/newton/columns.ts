// Columns d kron v of a structured Hessian: column j is (bits of the sample owners[j]) kron vectors[j]; an owner below 0 stands for the
// gate -1 - owner alone. bits: [n, P]   vectors: [columns, D]   y, out: [P, D]

export class Columns {
  count = 0;
  readonly owners: Int32Array;
  readonly vectors: Float64Array;

  constructor(
    most: number,
    private readonly width: number,
    private readonly bits: Float64Array,
    private readonly gateCount: number,
  ) {
    this.owners = new Int32Array(most);
    this.vectors = new Float64Array(most * width);
  }

  add(owner: number, factor: number, vector: Float64Array, from: number, length: number): void {
    const start = this.count * this.width;
    this.owners[this.count++] = owner;
    for (let k = 0; k < this.width; k++) this.vectors[start + k] = k < length ? factor * vector[from + k] : 0;
  }

  /** Rows offset .. of `target` `[columns, P]` become the columns at coordinate k, or the bare bits when k < 0. */
  fill(target: Float64Array, offset: number, k: number): void {
    const { gateCount, bits, width, owners, vectors } = this;
    for (let j = 0; j < this.count; j++) {
      const owner = owners[j];
      const factor = k < 0 ? 1 : vectors[j * width + k];
      const to = (offset + j) * gateCount;
      if (owner < 0) {
        target.fill(0, to, to + gateCount);
        target[to - 1 - owner] = factor;
      } else for (let p = 0; p < gateCount; p++) target[to + p] = factor * bits[owner * gateCount + p];
    }
  }

  /** out[j] = column j ' y */
  correlate(y: Float64Array, out: Float64Array): void {
    const { gateCount, bits, width, owners, vectors } = this;
    for (let j = 0; j < this.count; j++) {
      const owner = owners[j];
      let total = 0;
      for (let p = owner < 0 ? -1 - owner : 0; p < (owner < 0 ? -owner : gateCount); p++) {
        if (owner >= 0 && bits[owner * gateCount + p] === 0) continue;
        for (let k = 0; k < width; k++) total += vectors[j * width + k] * y[p * width + k];
      }
      out[j] = total;
    }
  }

  /** out += factor sum_j coefficients[j] column j */
  combine(coefficients: Float64Array, factor: number, out: Float64Array): void {
    const { gateCount, bits, width, owners, vectors } = this;
    for (let j = 0; j < this.count; j++) {
      const owner = owners[j];
      const scale = factor * coefficients[j];
      for (let p = owner < 0 ? -1 - owner : 0; p < (owner < 0 ? -owner : gateCount); p++) {
        if (owner >= 0 && bits[owner * gateCount + p] === 0) continue;
        for (let k = 0; k < width; k++) out[p * width + k] += scale * vectors[j * width + k];
      }
    }
  }
}
