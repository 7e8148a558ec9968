// Pieces to the nearest points of their robust cones (coneDistance.ts), then inside exactly (feasible.ts). Where the cones are thin a push along an
// interior direction alone moves pieces far; the projection moves them no further than they are outside.
// pieces: [2, P, outputs, D]   directions: [P, D]

import type { ReluProgram } from "../program/program.js";
import { ConeDistance } from "./coneDistance.js";
import { excess, makeFeasible } from "./feasible.js";
import { distinctRows } from "./openCones.js";

export class NearestFeasible {
  private readonly distance: ConeDistance;

  constructor(
    private readonly program: ReluProgram,
    private readonly directions: Float64Array,
  ) {
    this.distance = new ConeDistance(program, distinctRows(program));
  }

  /** In place. */
  repair(pieces: Float64Array): void {
    const { program, distance, directions } = this;
    const { width, outputs, gateCount } = program;
    for (let from = 0; from < pieces.length; from += width) {
      const p = Math.floor(from / width / outputs) % gateCount;
      const piece = pieces.subarray(from, from + width);
      if (excess(program, p, piece) <= 0) continue;
      distance.measure(p, pieces, from, 1, 0);
      piece.set(distance.residual);
    }
    makeFeasible(program, pieces, directions);
  }
}
