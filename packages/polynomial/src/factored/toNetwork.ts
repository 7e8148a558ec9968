// Neurons of unit length with their weights, from the factored form: alpha_j = s_j ||v_j||^2, u_j = v_j / ||v_j||. Neurons of length
// zero are left out.

/** `neurons` `[K, d]` and `signs` `[K]` to directions `[kept, d]` and weights `[kept]`. */
export function toNetwork(neurons: Float64Array, signs: Float64Array, d: number) {
  const count = signs.length;
  const directions = new Float64Array(count * d);
  const weights = new Float64Array(count);
  let kept = 0;
  for (let j = 0; j < count; j++) {
    let square = 0;
    for (let l = 0; l < d; l++) square += neurons[j * d + l] ** 2;
    if (!(square > 0)) continue;
    const length = Math.sqrt(square);
    for (let l = 0; l < d; l++) directions[kept * d + l] = neurons[j * d + l] / length;
    weights[kept++] = signs[j] * square;
  }
  return { directions: directions.slice(0, kept * d), weights: weights.slice(0, kept) };
}
