// l2 adversary of a network with one score per class: row (i, c) is the exact worst margin of f_y - f_c over the ball (math.md 10).
// All rows of an unordered pair of classes share one quadratic, f_first - f_second, decomposed in the span of both classes'
// neurons; displacements are kept in that span. With a bias every point has one more coordinate, the same constant for all, that
// the adversary cannot move: for it, f is a quadratic in the other coordinates whose slope and constant the bias has changed.
// Over a move set the span is that of the directions as the adversary sees them, and every row has a slope and a constant of its own, as in
// factored/movingObjective.ts. Blocks of rows go through matrix products in one workspace.

import type { NumericBatch } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Activation } from "../activation.js";
import { createSmoothedSolver, refreshGaps, solveSmoothedRows } from "../factored/smoothedTrustRegion.js";
import { displaceRows, type MoveSet, projectRows } from "../moveSet.js";
import { ballRowsSizes, createBallRows, trainingTolerance } from "../worstCase/ballRows.js";
import { allocateSpan, orthonormalise } from "../worstCase/span.js";
import { type Adversary, clear, type RowGroup } from "./adversary.js";
import { activate, listPairs, none, type Pair } from "./classPairs.js";
import { shrink } from "./shrink.js";

const block = 256;
export function createPairAdversary(
  points: NumericBatch,
  labels: Int32Array,
  classCount: number,
  radius: number,
  activation: Activation,
  maxNeuronsPerClass: number,
  /** Constant of the bias coordinate; 0 for none. Neurons then have one more entry than points. */
  bias: number,
  kernels: Kernels,
  /** What the adversary may do within the radius; null for the ball. */
  set: MoveSet | null = null,
): Adversary {
  const [n, d] = points.shape as [number, number];
  const width = bias === 0 ? d : d + 1;
  const k = classCount - 1;
  const data = points.data;
  const span = allocateSpan(2 * maxNeuronsPerClass, d);
  const maxRank = span.stride;
  const stacked = new Float64Array(2 * maxNeuronsPerClass * d);
  const stackedSigns = new Float64Array(2 * maxNeuronsPerClass);
  const stackedBias = new Float64Array(2 * maxNeuronsPerClass);
  const form = { rank: 0, eigenvalues: new Float64Array(maxRank), linear: new Float64Array(maxRank), constant: 0 };
  const solver = createSmoothedSolver(form);
  const sizes = [
    ...[Math.max(block, maxRank) * d, block * d, block * maxRank, block * maxRank, maxRank * d],
    ...[maxRank * maxRank, maxRank, width * width, block * width, 2 * maxNeuronsPerClass * width],
    ...[block * (2 * maxNeuronsPerClass + 1), (2 * maxNeuronsPerClass + 1) * width],
  ];
  const workspace = kernels.workspace(workspaceSize(...sizes, ...ballRowsSizes(block, maxRank)));
  const memory = sizes.map((size) => workspace.float64(size));
  const ballRows = createBallRows(workspace, block, maxRank);
  const [rows, back, rotated, perturbation, basis, small, smallValues, moment, extended] = memory;
  const [applied, responses, sums] = memory.slice(9);
  const smallLinear = new Float64Array(maxRank);
  const values = new Float64Array(block);
  const variances = new Float64Array(block * maxRank);
  const spread = new Float64Array(maxRank);
  const slope = new Float64Array(width);
  const pairs = listPairs(labels, classCount, maxRank * d);
  const projection = new Float64Array(maxRank);
  const scratch = new Float64Array(d);
  const seen = set ? new Float64Array(stacked.length) : stacked;
  const pairLengths = new Float64Array(2 * maxNeuronsPerClass);
  // Neurons of a pair, what they add to half slopes, their place in the basis, and the slopes of a block.
  const K = 2 * maxNeuronsPerClass;
  const ownSizes = set ? [K * d, block * K, K * maxRank, block * maxRank, block * maxRank, block * maxRank] : [];
  const ownRows = set ? ballRowsSizes(block, maxRank) : [];
  const ownWorkspace = kernels.workspace(workspaceSize(...ownSizes, ...ownRows));
  const [vectors, alongs, places, slopes, origin, ownMoves] = ownSizes.map((size) => ownWorkspace.float64(size));
  const ownBallRows = set ? createBallRows(ownWorkspace, block, maxRank) : null;

  /** Decomposes f_first - f_second in the span of its neurons; false when the eigenproblem failed. */
  function decompose(pair: Pair, count: number): boolean {
    if (set) {
      seen.set(stacked.subarray(0, count * d));
      projectRows(set, seen, count);
    }
    orthonormalise(seen, count, d, span);
    const rank = span.rank;
    small.fill(0, 0, rank * rank);
    smallLinear.fill(0);
    form.constant = 0;
    for (let j = 0; j < count; j++) {
      const row = j * span.stride;
      let square = 0;
      if (set) for (let l = j * d; l < (j + 1) * d; l++) square += stacked[l] * stacked[l];
      else for (let m = 0; m < rank; m++) square += span.coordinates[row + m] ** 2;
      square += stackedBias[j] * stackedBias[j];
      const offset = stackedBias[j] * bias;
      const length = Math.sqrt(square);
      pairLengths[j] = length;
      form.constant +=
        stackedSigns[j] * (offset * (activation.a * offset + activation.b * length) + activation.c * square);
      const slope = stackedSigns[j] * (activation.b * length + 2 * activation.a * offset);
      for (let m = 0; m < rank; m++) {
        const c = span.coordinates[row + m];
        smallLinear[m] += slope * c;
        const scaled = activation.a * stackedSigns[j] * c;
        for (let l = 0; l <= m; l++) small[m * rank + l] += scaled * span.coordinates[row + l];
      }
    }
    if (rank > 0 && workspace.syevd(rank, small.subarray(0, rank * rank), rank, smallValues.subarray(0, rank)) !== 0) {
      return false;
    }
    form.rank = rank;
    basis.fill(0, 0, rank * d);
    for (let m = 0; m < rank; m++) {
      form.eigenvalues[m] = smallValues[m];
      form.linear[m] = 0;
      for (let l = 0; l < rank; l++) {
        const factor = small[m * rank + l];
        form.linear[m] += factor * smallLinear[l];
        for (let x = 0, p = m * d, q = l * d; x < d; x++) basis[p + x] += factor * span.basis[q + x];
      }
    }
    if (set) {
      displaceRows(set, basis, rank);
      vectors.set(stacked.subarray(0, count * d));
      for (let j = 0; j < count; j++) {
        for (let m = 0; m < rank; m++) {
          let sum = 0;
          for (let l = 0; l < rank; l++) sum += small[m * rank + l] * span.coordinates[j * span.stride + l];
          places[j * rank + m] = sum;
        }
      }
    }
    pair.rank = rank;
    pair.basis.set(basis.subarray(0, rank * d));
    refreshGaps(solver);
    return true;
  }

  /** Attacks the gathered rows one by one, each with its own slope and constant. */
  function attackRows(size: number, count: number, signs: Float64Array, smoothing: { mu: number; rho: number } | null) {
    const { rank } = form;
    const { a, b, c } = activation;
    const own = ownWorkspace;
    const points = rows.subarray(0, size * d);
    alongs.fill(0, 0, size * count);
    for (let t = 0; t < size; t++) {
      let score = 0;
      for (let j = 0; j < count; j++) {
        let along = stackedBias[j] * bias;
        for (let l = 0, p = t * d, q = j * d; l < d; l++) along += points[p + l] * vectors[q + l];
        const length = pairLengths[j];
        score += stackedSigns[j] * (along * (a * along + b * length) + c * length * length);
        alongs[t * count + j] = stackedSigns[j] * (a * along + 0.5 * b * length);
      }
      values[t] = score;
    }
    if (rank > 0 && count > 0) {
      own.gemm(false, false, size, rank, count, 2, alongs, count, places, rank, 0, slopes, rank);
    }
    if (!smoothing) {
      ownBallRows?.solveOwn(
        ...([form, origin, slopes, values, size, signs, radius, trainingTolerance, ownMoves] as const),
      );
      perturbation.set(ownMoves.subarray(0, size * rank));
      for (let t = 0; ownBallRows && t < size; t++) values[t] = ownBallRows.values[t];
      return;
    }
    for (let t = 0; t < size; t++) {
      for (let m = 0; m < rank; m++) form.linear[m] = slopes[t * rank + m];
      form.constant = values[t];
      const one = {
        value: values.subarray(t, t + 1),
        perturbation: perturbation.subarray(t * rank, (t + 1) * rank),
        variances: variances.subarray(t * rank, (t + 1) * rank),
      };
      solveSmoothedRows(solver, origin, signs.subarray(t, t + 1), 1, radius, smoothing.mu, smoothing.rho, one);
    }
  }

  function gather(samples: Int32Array, from: number, count: number): void {
    for (let t = 0; t < count; t++) {
      const start = samples[from + t] * d;
      for (let l = 0, p = t * d; l < d; l++) rows[p + l] = data[start + l];
    }
  }

  return {
    dimension: width,
    blocks: classCount,
    samples: n,
    rowsPerSample: k,
    activation,
    activate(mask) {
      for (const pair of pairs) activate(pair, mask, maxRank);
    },
    attack(network, margins, smoothing) {
      margins.fill(Number.POSITIVE_INFINITY);
      for (const pair of pairs) {
        const active = pair.activeRows.length;
        if (active === 0) continue;
        let count = 0;
        for (let j = 0; j < network.count; j++) {
          const own = network.blocks[j] === pair.first ? 1 : network.blocks[j] === pair.second ? -1 : 0;
          if (own === 0) continue;
          stacked.set(network.vectors.subarray(j * width, j * width + d), count * d);
          stackedBias[count] = width > d ? network.vectors[j * width + d] : 0;
          stackedSigns[count++] = own * network.signs[j];
        }
        if (!decompose(pair, count)) return false;
        const rank = pair.rank;
        const smoothed = smoothing !== null && radius > 0 && rank > 0;
        pair.spreads = smoothed ? new Float64Array(active * rank) : none;
        for (let from = 0; from < active; from += block) {
          const size = Math.min(block, active - from);
          gather(pair.activeSamples, from, size);
          const signs = pair.activeSigns.subarray(from, from + size);
          if (set) {
            attackRows(size, count, signs, smoothed ? smoothing : null);
            if (smoothed) pair.spreads.set(variances.subarray(0, size * rank), from * rank);
            pair.moves.set(perturbation.subarray(0, size * rank), from * rank);
            for (let t = 0; t < size; t++) margins[pair.activeRows[from + t]] = values[t];
            continue;
          }
          if (rank > 0) workspace.gemm(false, true, size, rank, d, 1, rows, d, basis, d, 0, rotated, rank);
          if (smoothed) {
            const results = { value: values, perturbation, variances };
            solveSmoothedRows(solver, rotated, signs, size, radius, smoothing.mu, smoothing.rho, results);
            pair.spreads.set(variances.subarray(0, size * rank), from * rank);
          } else {
            ballRows.solve(form, rotated, size, signs, radius, trainingTolerance, perturbation);
            values.set(ballRows.values.subarray(0, size));
          }
          pair.moves.set(perturbation.subarray(0, size * rank), from * rank);
          for (let t = 0; t < size; t++) margins[pair.activeRows[from + t]] = values[t];
        }
      }
      return true;
    },
    moments(weights, safe, out) {
      for (const target of out) clear(target);
      for (const pair of pairs) {
        const { rank, activeRows, activeSamples, activeSigns, spreads } = pair;
        const smoothed = spreads.length > 0;
        const sums = { constant: 0, squares: 0, mass: 0, rows: 0 };
        slope.fill(0);
        basis.set(pair.basis.subarray(0, rank * d));
        moment.fill(0);
        spread.fill(0);
        let used = false;
        for (const sign of [1, -1]) {
          let next = 0;
          while (next < activeRows.length) {
            let count = 0;
            const chosen: number[] = [];
            for (; next < activeRows.length && count < block; next++) {
              if (activeSigns[next] !== sign || !(weights[activeRows[next]] > 0)) continue;
              chosen.push(next);
              const start = activeSamples[next] * d;
              for (let l = 0, p = count * d; l < d; l++) rows[p + l] = data[start + l];
              for (let m = 0; m < rank; m++) perturbation[count * rank + m] = pair.moves[next * rank + m];
              count++;
            }
            if (count === 0) continue;
            used = true;
            if (rank > 0) workspace.gemm(false, false, count, d, rank, 1, perturbation, rank, basis, d, 0, back, d);
            else back.fill(0, 0, count * d);
            for (let t = 0; t < count; t++) {
              const p = weights[activeRows[chosen[t]]];
              let variance = 0;
              if (smoothed) for (let m = 0, q = chosen[t] * rank; m < rank; m++) variance += spreads[q + m];
              const scale = safe ? shrink(back, rows, t * d, d, radius, variance, set, scratch) : 1;
              const root = Math.sqrt(p);
              let squares = 2 * p * variance;
              if (smoothed) {
                const weight = sign * p * scale * scale;
                for (let m = 0, q = chosen[t] * rank; m < rank; m++) spread[m] += weight * spreads[q + m];
              }
              if (width > d) {
                extended[t * width + d] = root * bias;
                squares += p * bias * bias;
                slope[d] += sign * p * bias;
              }
              for (let l = 0, q = t * d, to = t * width; l < d; l++) {
                const z = rows[q + l] + scale * back[q + l];
                const weighted = p * z;
                extended[to + l] = root * z;
                squares += weighted * z;
                slope[l] += sign * weighted;
              }
              sums.constant += sign * p;
              sums.squares += squares;
              sums.mass += p;
              sums.rows++;
            }
            workspace.syrk(true, width, count, sign, extended, width, 1, moment, width);
          }
        }
        if (smoothed) {
          for (let m = 0; m < rank; m++) {
            for (let l = 0, q = m * d; l < d; l++) rows[q + l] = spread[m] * basis[q + l];
          }
          workspace.gemm(true, false, d, d, rank, 1, rows, d, basis, d, 1, moment, width);
        }
        if (!used) continue;
        for (const side of [1, -1]) {
          const target = out[side > 0 ? pair.first : pair.second];
          for (let i = 0; i < width * width; i++) target.matrix[i] += side * moment[i];
          for (let l = 0; l < width; l++) target.linear[l] += side * slope[l];
          target.constant += side * sums.constant;
          target.squares += sums.squares;
          target.mass += sums.mass;
          target.rows += sums.rows;
        }
      }
    },
    applyMoments(weights, network, products, out) {
      products.fill(0, 0, network.count * width);
      for (const target of out) {
        target.linear.fill(0);
        target.constant = 0;
      }
      for (const pair of pairs) {
        const { rank, activeRows, activeSamples, activeSigns, spreads, moves } = pair;
        const members: number[] = [];
        for (let j = 0; j < network.count; j++) {
          if (network.blocks[j] !== pair.first && network.blocks[j] !== pair.second) continue;
          applied.set(network.vectors.subarray(j * width, (j + 1) * width), members.length * width);
          members.push(j);
        }
        const k = members.length;
        basis.set(pair.basis.subarray(0, rank * d));
        sums.fill(0, 0, (k + 1) * width);
        spread.fill(0);
        let constant = 0;
        for (let next = 0; next < activeRows.length; ) {
          let count = 0;
          for (; next < activeRows.length && count < block; next++) {
            const p = weights[activeRows[next]];
            if (!(p > 0)) continue;
            const signed = activeSigns[next] * p;
            values[count] = signed;
            constant += signed;
            const start = activeSamples[next] * d;
            for (let l = 0, q = count * d; l < d; l++) rows[q + l] = data[start + l];
            for (let m = 0; m < rank; m++) perturbation[count * rank + m] = moves[next * rank + m];
            if (spreads.length > 0) for (let m = 0; m < rank; m++) spread[m] += signed * spreads[next * rank + m];
            count++;
          }
          if (count === 0) continue;
          if (rank > 0) workspace.gemm(false, false, count, d, rank, 1, perturbation, rank, basis, d, 1, rows, d);
          for (let t = 0; t < count; t++) {
            for (let l = 0, q = t * d, to = t * width; l < d; l++) extended[to + l] = rows[q + l];
            if (width > d) extended[t * width + d] = bias;
          }
          const stride = k + 1;
          if (k > 0)
            workspace.gemm(false, true, count, k, width, 1, extended, width, applied, width, 0, responses, stride);
          for (let t = 0; t < count; t++) {
            for (let j = 0; j < k; j++) responses[t * stride + j] *= values[t];
            responses[t * stride + k] = values[t];
          }
          workspace.gemm(true, false, stride, width, count, 1, responses, stride, extended, width, 1, sums, width);
        }
        members.forEach((j, own) => {
          const side = network.blocks[j] === pair.first ? 1 : -1;
          for (let l = 0; l < width; l++) products[j * width + l] += side * sums[own * width + l];
          if (spreads.length === 0) return;
          for (let m = 0; m < rank; m++) {
            let along = 0;
            for (let l = 0; l < d; l++) along += basis[m * d + l] * network.vectors[j * width + l];
            along *= side * spread[m];
            for (let l = 0; l < d; l++) products[j * width + l] += along * basis[m * d + l];
          }
        });
        for (const side of [1, -1]) {
          const target = out[side > 0 ? pair.first : pair.second];
          for (let l = 0; l < width; l++) target.linear[l] += side * sums[k * width + l];
          target.constant += side * constant;
        }
      }
    },
    groups(): readonly RowGroup[] {
      return pairs.map(({ first, second, activeRows, activeSigns }) => {
        return { plus: first, minus: second, rows: activeRows, signs: activeSigns };
      });
    },
    respond(group, direction, target, stride, column) {
      const { rank, basis: own, moves, spreads, activeSamples, activeSigns } = pairs[group];
      const { a, b, c } = activation;
      for (let m = 0; m < rank; m++) {
        projection[m] = 0;
        for (let l = 0; l < d; l++) projection[m] += own[m * d + l] * direction[l];
      }
      for (let t = 0; t < activeSamples.length; t++) {
        let value = width > d ? bias * direction[d] : 0;
        for (let l = 0, p = activeSamples[t] * d; l < d; l++) value += data[p + l] * direction[l];
        for (let m = 0, p = t * rank; m < rank; m++) value += moves[p + m] * projection[m];
        let variance = 0;
        if (spreads.length > 0) {
          for (let m = 0, p = t * rank; m < rank; m++) variance += spreads[p + m] * projection[m] * projection[m];
        }
        target[t * stride + column] = activeSigns[t] * (value * (a * value + b) + a * variance + c);
      }
    },
  };
}
