// Cross entropy with label smoothing over a batch of logits, in float64.
//   target t_k = (1 - s) [k = label] + s / classes,   loss = mean_i sum_k -t_ik log softmax(z_i)_k,   gradient = (softmax(z_i) - t_i) / n

export interface BatchLoss {
  /** Mean over the batch; NaN when a logit is not finite. */
  readonly loss: number;
  readonly correct: number;
  /** With respect to the logits, [n, classes]. */
  readonly gradient: Float32Array;
}

/** Loss of `logits` [n, classes] for class indices `labels` [n]. */
export function crossEntropy(logits: ArrayLike<number>, labels: ArrayLike<number>, smoothing: number): BatchLoss {
  const count = labels.length;
  const classes = logits.length / count;
  const gradient = new Float32Array(logits.length);
  let loss = 0;
  let correct = 0;
  for (let i = 0; i < count; i++) {
    const from = i * classes;
    let top = 0;
    for (let k = 1; k < classes; k++) if (logits[from + k]! > logits[from + top]!) top = k;
    if (top === labels[i]) correct++;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp(logits[from + k]! - logits[from + top]!);
    const logSum = Math.log(sum) + logits[from + top]!;
    for (let k = 0; k < classes; k++) {
      const target = smoothing / classes + (k === labels[i] ? 1 - smoothing : 0);
      const logarithm = logits[from + k]! - logSum;
      loss -= target * logarithm;
      gradient[from + k] = (Math.exp(logarithm) - target) / count;
    }
  }
  return { loss: loss / count, correct, gradient };
}
