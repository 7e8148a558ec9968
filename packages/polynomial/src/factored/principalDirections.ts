// Leading directions of points: eigenvectors of their second moment, in which features of a network's last layer hold most of their
// variance.

import { workspaceSize } from "@worstcase/linalg";
import { everyRow } from "./rowSource.js";
import type { TrainingData } from "./trainingData.js";

/** Eigenvectors of the second moment with the largest eigenvalues `[count, d]`, and their share of its trace. */
export function principalDirections({ samples: n, dimension: d, rows, kernels, buffers }: TrainingData, count: number) {
  const { blockRows } = buffers;
  const workspace = kernels.workspace(workspaceSize(blockRows * d, d * d, d));
  const block = workspace.float64(blockRows * d);
  const moment = workspace.float64(d * d);
  const values = workspace.float64(d);
  moment.fill(0);
  const everything = everyRow(n);
  for (let from = 0; from < n; from += blockRows) {
    const size = Math.min(blockRows, n - from);
    rows.gather(everything, from, size, block);
    workspace.syrk(true, d, size, 1, block, d, 1, moment, d);
  }
  // Rows become eigenvectors, the largest eigenvalue last.
  const failed = workspace.syevd(d, moment, d, values) !== 0;
  const trace = values.reduce((sum, value) => sum + value, 0);
  const held = values.subarray(d - count).reduce((sum, value) => sum + value, 0);
  return { directions: moment.slice((d - count) * d), share: failed || !(trace > 0) ? 0 : held / trace };
}
