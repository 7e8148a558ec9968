// C <- alpha op(D) B + beta C with D of zeros and ones, packed eight to a byte (bit j of byte b is column 8 b + j). B [k, n], C [m, n].
// The sums of every subset of four rows of B, sixteen columns wide, are tabulated first ("four Russians"): a row of C then takes one
// addition for four bits, where a product takes four multiplications and additions. Leading dimensions are in bytes.

/** Bits tabulated together (32 KB, first-level cache), and rows of C per strip. */
const DEPTH: i32 = 64;
const STRIP: i32 = 1024;
/** Bytes of sixteen columns, and of the sixteen subset sums of four rows. */
const ENTRY: usize = 128;
const GROUP: usize = 2048;

let table: usize = 0;
let turned: usize = 0;
let edge: usize = 0;

/** Bytes of scratch. */
export const BIT_SCRATCH: usize = <usize>(DEPTH / 4) * GROUP + <usize>(STRIP * (DEPTH / 8)) + ENTRY;

export function setBitScratch(at: usize): void {
  table = at;
  edge = at + <usize>(DEPTH / 4) * GROUP;
  turned = edge + ENTRY;
}

/** `transpose`: D is stored [k, m], else [m, k]. */
export function multiplyBits(
  transpose: bool, m: i32, n: i32, k: i32, alpha: f64, d: usize, ldd: usize, b: usize, ldb: usize, beta: f64, c: usize, ldc: usize,
): void {
  if (m == 0 || n == 0) return;
  for (let p0 = 0; p0 == 0 || p0 < k; p0 += DEPTH) {
    const depth = min(DEPTH, k - p0);
    const keep = p0 == 0 ? beta : 1;
    const bytes = (depth + 7) >> 3;
    for (let s = 0; s < m; s += STRIP) {
      const strip = min(STRIP, m - s);
      let bits = d + <usize>s * ldd + <usize>(p0 >> 3);
      let step = ldd;
      if (transpose) {
        turn(d + <usize>p0 * ldd + <usize>(s >> 3), ldd, depth, strip);
        bits = turned;
        step = DEPTH / 8;
      }
      for (let j = 0; j < n; j += 16) {
        const columns = min(16, n - j);
        tabulate(b + <usize>p0 * ldb + <usize>(j << 3), ldb, depth, columns);
        let to = c + <usize>s * ldc + <usize>(j << 3);
        let at = bits;
        for (let i = 0; i < strip; i++) {
          sumRow(at, bytes, alpha, keep, to, columns);
          at += step;
          to += ldc;
        }
      }
    }
  }
}

/** One row of C, up to sixteen columns. */
function sumRow(bits: usize, bytes: i32, alpha: f64, beta: f64, c: usize, columns: i32): void {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  let group = table;
  for (let q = 0; q < bytes; q++) {
    const byte = <usize>load<u8>(bits + <usize>q);
    const low = group + ((byte & 15) << 7);
    s0 = f64x2.add(s0, v128.load(low));
    s1 = f64x2.add(s1, v128.load(low, 16));
    s2 = f64x2.add(s2, v128.load(low, 32));
    s3 = f64x2.add(s3, v128.load(low, 48));
    s4 = f64x2.add(s4, v128.load(low, 64));
    s5 = f64x2.add(s5, v128.load(low, 80));
    s6 = f64x2.add(s6, v128.load(low, 96));
    s7 = f64x2.add(s7, v128.load(low, 112));
    const high = group + ((byte >> 4) << 7);
    s0 = f64x2.add(s0, v128.load(high, 2048));
    s1 = f64x2.add(s1, v128.load(high, 2064));
    s2 = f64x2.add(s2, v128.load(high, 2080));
    s3 = f64x2.add(s3, v128.load(high, 2096));
    s4 = f64x2.add(s4, v128.load(high, 2112));
    s5 = f64x2.add(s5, v128.load(high, 2128));
    s6 = f64x2.add(s6, v128.load(high, 2144));
    s7 = f64x2.add(s7, v128.load(high, 2160));
    group += 2 * GROUP;
  }
  const to = columns == 16 ? c : edge;
  const scale = columns == 16 ? beta : 0;
  blendPair(to, s0, alpha, scale);
  blendPair(to + 16, s1, alpha, scale);
  blendPair(to + 32, s2, alpha, scale);
  blendPair(to + 48, s3, alpha, scale);
  blendPair(to + 64, s4, alpha, scale);
  blendPair(to + 80, s5, alpha, scale);
  blendPair(to + 96, s6, alpha, scale);
  blendPair(to + 112, s7, alpha, scale);
  if (columns == 16) return;
  for (let j: usize = 0; j < <usize>(columns << 3); j += 8) {
    f64.store(c + j, beta == 0 ? f64.load(edge + j) : f64.load(edge + j) + beta * f64.load(c + j));
  }
}

@inline
function blendPair(to: usize, sum: v128, alpha: f64, beta: f64): void {
  let value = f64x2.mul(sum, f64x2.splat(alpha));
  if (beta != 0) value = f64x2.add(value, f64x2.mul(v128.load(to), f64x2.splat(beta)));
  v128.store(to, value);
}

/** Subset sums of every four rows; rows past the end and columns past `columns` count as zero. */
function tabulate(b: usize, ldb: usize, depth: i32, columns: i32): void {
  const groups = ((depth + 7) >> 3) << 1;
  let group = table;
  for (let g = 0; g < groups; g++) {
    for (let v: usize = 0; v < ENTRY; v += 16) v128.store(group + v, f64x2.splat(0));
    for (let r = 0; r < 4; r++) {
      const row = 4 * g + r;
      const size = 1 << r;
      const to = group + <usize>(size << 7);
      if (row < depth) copyRow(b + <usize>row * ldb, to, columns);
      else for (let v: usize = 0; v < ENTRY; v += 16) v128.store(to + v, f64x2.splat(0));
      for (let e = ENTRY; e < <usize>(size << 7); e += 16) {
        v128.store(to + e, f64x2.add(v128.load(group + e), v128.load(to + (e & 127))));
      }
    }
    group += GROUP;
  }
}

function copyRow(from: usize, to: usize, columns: i32): void {
  if (columns == 16) {
    for (let v: usize = 0; v < ENTRY; v += 16) v128.store(to + v, v128.load(from + v));
    return;
  }
  for (let j = 0; j < 16; j++) f64.store(to + <usize>(j << 3), j < columns ? f64.load(from + <usize>(j << 3)) : 0);
}

/** `depth` rows of `width` bits, transposed to `width` rows of `depth` bits, DEPTH / 8 bytes apart; eight by eight bits at a time. */
function turn(d: usize, ldd: usize, depth: i32, width: i32): void {
  for (let p = 0; p < depth; p += 8) {
    const rows = min(8, depth - p);
    for (let i = 0; i < width; i += 8) {
      let x: u64 = 0;
      const from = d + <usize>p * ldd + <usize>(i >> 3);
      for (let r = 0; r < rows; r++) x |= <u64>load<u8>(from + <usize>r * ldd) << <u64>(r << 3);
      let t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
      x = x ^ t ^ (t << 7);
      t = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
      x = x ^ t ^ (t << 14);
      t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
      x = x ^ t ^ (t << 28);
      const to = turned + <usize>i * (DEPTH / 8) + <usize>(p >> 3);
      const last = min(8, width - i);
      for (let r = 0; r < last; r++) store<u8>(to + <usize>r * (DEPTH / 8), <u8>(x >> <u64>(r << 3)));
    }
  }
}
