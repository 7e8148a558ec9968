// Filter gradient of a convolution as a sum of outer products, one per output pixel (float32, 4 x 8 register block).
//   df[i, j, c, o] += sum_{image, h, w} x[image, s h + i, s' w + j, c] dy[image, h, w, o]
// x panels:  [ceil(c / 4)][images][rows][columns][4], already padded      dy panels: [ceil(o / 8)][images][h][w][8]
// df blocks: [filterHeight][filterWidth][ceil(c / 4)][ceil(o / 8)][4][8]; channels beyond c and o are zero
// Built twice by wasm/build.mjs: with relaxed SIMD (fused multiply-add) and without.

/** a b + c, fused when the build has relaxed SIMD. */
// @ts-ignore: decorator
@inline
function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/** Copies `pixels` pixels of `channels` floats into panels of `block` channels, `panelBytes` apart, zero beyond. */
export function pack(source: usize, target: usize, pixels: i32, channels: i32, block: i32, panelBytes: i32): void {
  const blockBytes = block << 2;
  const whole = channels / block;
  const rest = channels - whole * block;
  for (let pixel = 0; pixel < pixels; pixel++) {
    let to = target + pixel * blockBytes;
    for (let panel = 0; panel < whole; panel++) {
      v128.store(to, v128.load(source));
      if (block == 8) v128.store(to, v128.load(source, 16), 16);
      source += blockBytes;
      to += panelBytes;
    }
    if (rest > 0) {
      memory.fill(to, 0, blockBytes);
      memory.copy(to, source, rest << 2);
      source += rest << 2;
    }
  }
}

export function accumulate(
  x: usize,
  dy: usize,
  df: usize,
  inputBlocks: i32,
  outputBlocks: i32,
  images: i32,
  rows: i32,
  columns: i32,
  outputRows: i32,
  outputColumns: i32,
  filterHeight: i32,
  filterWidth: i32,
  strideRows: i32,
  strideColumns: i32,
): void {
  const xPanel = images * rows * columns * 16;
  const dyPanel = images * outputRows * outputColumns * 32;
  const pixelStep = strideColumns * 16;
  for (let i = 0; i < filterHeight; i++) {
    for (let j = 0; j < filterWidth; j++) {
      const tap = x + (i * columns + j) * 16;
      for (let inputBlock = 0; inputBlock < inputBlocks; inputBlock++) {
        for (let outputBlock = 0; outputBlock < outputBlocks; outputBlock++) {
          let a0 = v128.load(df);
          let b0 = v128.load(df, 16);
          let a1 = v128.load(df, 32);
          let b1 = v128.load(df, 48);
          let a2 = v128.load(df, 64);
          let b2 = v128.load(df, 80);
          let a3 = v128.load(df, 96);
          let b3 = v128.load(df, 112);
          let d = dy + outputBlock * dyPanel;
          for (let image = 0; image < images; image++) {
            for (let row = 0; row < outputRows; row++) {
              let s = tap + inputBlock * xPanel + (image * rows + row * strideRows) * columns * 16;
              const end = d + outputColumns * 32;
              while (d < end) {
                const low = v128.load(d);
                const high = v128.load(d, 16);
                const s0 = v128.load32_splat(s);
                a0 = multiplyAdd(s0, low, a0);
                b0 = multiplyAdd(s0, high, b0);
                const s1 = v128.load32_splat(s, 4);
                a1 = multiplyAdd(s1, low, a1);
                b1 = multiplyAdd(s1, high, b1);
                const s2 = v128.load32_splat(s, 8);
                a2 = multiplyAdd(s2, low, a2);
                b2 = multiplyAdd(s2, high, b2);
                const s3 = v128.load32_splat(s, 12);
                a3 = multiplyAdd(s3, low, a3);
                b3 = multiplyAdd(s3, high, b3);
                d += 32;
                s += pixelStep;
              }
            }
          }
          v128.store(df, a0);
          v128.store(df, b0, 16);
          v128.store(df, a1, 32);
          v128.store(df, b1, 48);
          v128.store(df, a2, 64);
          v128.store(df, b2, 80);
          v128.store(df, a3, 96);
          v128.store(df, b3, 112);
          df += 128;
        }
      }
    }
  }
}
