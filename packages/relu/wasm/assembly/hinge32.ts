// Float32 kernels of the robust hinge with packed gate patterns: products with a factor of zeros and ones, and the losses of a chunk of rows.
// Subset sums of every four rows of the right factor are tabulated ("four Russians"), 32 columns wide: one addition for four bits.
// Leading dimensions and steps are in bytes; every row of a matrix of numbers is a multiple of 32 columns, padded with zeros.

/** Bits tabulated together: 16 groups of 16 subsets of 32 columns are 32 KB, the first-level cache. */
const DEPTH: i32 = 64;
const COLUMNS: i32 = 32;
const ENTRY: usize = 128;
const GROUP: usize = 2048;

let table: usize = 0;

/** The tables are the first 32 KB of the scratch memory; then the turned bits of `backward`. */
export const TABLE_BYTES: usize = <usize>(DEPTH / 4) * GROUP;

export function setScratch(at: usize): void {
  table = at;
}

/** C [rows, n] <- D B with D [rows, k] bits and B [k, n]. */
export function forward(
  rows: i32, n: i32, k: i32, bits: usize, bitStep: usize, b: usize, ldb: usize, c: usize, ldc: usize,
): void {
  for (let j = 0; j < n; j += COLUMNS) {
    for (let p = 0; p < k; p += DEPTH) {
      const depth = min(DEPTH, k - p);
      const bytes = (depth + 7) >> 3;
      tabulate(b + <usize>p * ldb + (<usize>j << 2), ldb, depth);
      let at = bits + <usize>(p >> 3);
      let to = c + (<usize>j << 2);
      for (let i = 0; i < rows; i++) {
        sumRow(at, bytes, to, p > 0);
        at += bitStep;
        to += ldc;
      }
    }
  }
}

/** H [k, n] <- H + D' G with D [rows, k] bits and G [rows, n]. Uses 8 k ceil(rows / 64) bytes of scratch after the table. */
export function backward(
  rows: i32, n: i32, k: i32, bits: usize, bitStep: usize, g: usize, ldg: usize, h: usize, ldh: usize,
): void {
  const turned = table + TABLE_BYTES;
  let strip: usize = 0;
  for (let s = 0; s < rows; s += DEPTH) {
    turn(bits + <usize>s * bitStep, bitStep, min(DEPTH, rows - s), k, turned + strip);
    strip += <usize>k << 3;
  }
  for (let j = 0; j < n; j += COLUMNS) {
    strip = 0;
    for (let s = 0; s < rows; s += DEPTH) {
      const depth = min(DEPTH, rows - s);
      tabulate(g + <usize>s * ldg + (<usize>j << 2), ldg, depth);
      let at = turned + strip;
      let to = h + (<usize>j << 2);
      const bytes = (depth + 7) >> 3;
      for (let p = 0; p < k; p++) {
        sumRow(at, bytes, to, true);
        at += 8;
        to += ldh;
      }
      strip += <usize>k << 3;
    }
  }
}

function sumRow(bits: usize, bytes: i32, c: usize, keep: bool): void {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  if (keep) {
    s0 = v128.load(c);
    s1 = v128.load(c, 16);
    s2 = v128.load(c, 32);
    s3 = v128.load(c, 48);
    s4 = v128.load(c, 64);
    s5 = v128.load(c, 80);
    s6 = v128.load(c, 96);
    s7 = v128.load(c, 112);
  }
  let group = table;
  for (let q = 0; q < bytes; q++) {
    const byte = <usize>load<u8>(bits + <usize>q);
    const low = group + ((byte & 15) << 7);
    s0 = f32x4.add(s0, v128.load(low));
    s1 = f32x4.add(s1, v128.load(low, 16));
    s2 = f32x4.add(s2, v128.load(low, 32));
    s3 = f32x4.add(s3, v128.load(low, 48));
    s4 = f32x4.add(s4, v128.load(low, 64));
    s5 = f32x4.add(s5, v128.load(low, 80));
    s6 = f32x4.add(s6, v128.load(low, 96));
    s7 = f32x4.add(s7, v128.load(low, 112));
    const high = group + ((byte >> 4) << 7);
    s0 = f32x4.add(s0, v128.load(high, 2048));
    s1 = f32x4.add(s1, v128.load(high, 2064));
    s2 = f32x4.add(s2, v128.load(high, 2080));
    s3 = f32x4.add(s3, v128.load(high, 2096));
    s4 = f32x4.add(s4, v128.load(high, 2112));
    s5 = f32x4.add(s5, v128.load(high, 2128));
    s6 = f32x4.add(s6, v128.load(high, 2144));
    s7 = f32x4.add(s7, v128.load(high, 2160));
    group += 2 * GROUP;
  }
  v128.store(c, s0);
  v128.store(c, s1, 16);
  v128.store(c, s2, 32);
  v128.store(c, s3, 48);
  v128.store(c, s4, 64);
  v128.store(c, s5, 80);
  v128.store(c, s6, 96);
  v128.store(c, s7, 112);
}

/** Subset sums of every four rows; rows past the end count as zero. */
function tabulate(b: usize, ldb: usize, depth: i32): void {
  const groups = ((depth + 7) >> 3) << 1;
  let group = table;
  for (let g = 0; g < groups; g++) {
    for (let v: usize = 0; v < ENTRY; v += 16) v128.store(group + v, f32x4.splat(0));
    for (let r = 0; r < 4; r++) {
      const row = 4 * g + r;
      const size = <usize>1 << <usize>r;
      const to = group + (size << 7);
      if (row < depth) {
        const from = b + <usize>row * ldb;
        for (let v: usize = 0; v < ENTRY; v += 16) v128.store(to + v, v128.load(from + v));
      } else {
        for (let v: usize = 0; v < ENTRY; v += 16) v128.store(to + v, f32x4.splat(0));
      }
      for (let e = ENTRY; e < size << 7; e += 16) {
        v128.store(to + e, f32x4.add(v128.load(group + e), v128.load(to + (e & 127))));
      }
    }
    group += GROUP;
  }
}

/** `depth` rows of `width` bits, transposed to `width` rows of 8 bytes at `to`; eight by eight bits at a time. */
function turn(d: usize, ldd: usize, depth: i32, width: i32, to: usize): void {
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
      const at = to + (<usize>i << 3) + <usize>(p >> 3);
      const last = min(8, width - i);
      for (let r = 0; r < last; r++) store<u8>(at + (<usize>r << 3), <u8>(x >> <u64>(r << 3)));
    }
  }
}

@inline
function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/**
 * Losses of `rows` rows. The sums of pieces of class c lie in the block b + c blockBytes, one segment for each row that needs the class; slots
 * [rows, C] says which, -1 for none, and every row needs its own class. They become G in place; flags (same layout, one byte a segment, C
 * blocks of `most`) say which are not zero. x [rows, D]; labels [rows]; centres [rows, C];
 * sums: three float64 numbers that grow by the smoothed losses, the losses and the multipliers.
 * ball: 0 none, 1 Euclidean, 2 box.
 */
export function hinge(
  rows: i32, classes: i32, width: i32, moved: i32, b: usize, blockBytes: usize, segment: usize, slots: usize, flags: usize, most: usize,
  x: usize, ldx: usize, labels: usize, centres: usize, sums: usize, ball: i32, radius: f32, mu: f32, smoothing: f32,
): void {
  memory.fill(flags, 0, <usize>classes * most);
  for (let row = 0; row < rows; row++) {
    const label = load<i32>(labels + (<usize>row << 2));
    const slot = slots + (<usize>(row * classes) << 2);
    const place = <usize>load<i32>(slot + (<usize>label << 2));
    const own = b + <usize>label * blockBytes + place * segment;
    const point = x + <usize>row * ldx;
    let any = false;
    for (let c = 0; c < classes; c++) {
      const at = load<i32>(slot + (<usize>c << 2));
      if (c == label || at < 0) continue;
      const rival = b + <usize>c * blockBytes + <usize>at * segment;
      const centre = load<f32>(centres + (<usize>(row * classes + c) << 2));
      const fixed = opposeScores(own, rival, point, width);
      const size: f32 = ball == 0 ? 0 : ball == 1 ? Mathf.sqrt(squares(rival, moved)) : absolutes(rival, moved);
      const excess: f32 = 1 + fixed + radius * size;
      if (excess > 0) store<f64>(sums + 8, load<f64>(sums + 8) + <f64>excess);
      let u: f32 = 0;
      let a: f32 = 0;
      let factor: f32 = 0;
      if (centre + excess / smoothing > 0) {
        let support: f32 = 0;
        if (ball == 1) {
          const inside = size <= mu * radius;
          factor = inside ? 1 / mu : radius / size;
          support = inside ? (size * size) / (2 * mu) : radius * size - (mu * radius * radius) / 2;
        } else if (ball == 2) support = boxSupport(rival, moved, radius, mu);
        u = 1 + fixed + support;
        a = max<f32>(0, min<f32>(1, centre + u / smoothing));
      }
      const shift = <f64>a - <f64>centre;
      store<f64>(sums, load<f64>(sums) + <f64>a * <f64>u - (<f64>smoothing / 2) * shift * shift);
      store<f64>(sums + 16, load<f64>(sums + 16) + <f64>a);
      if (a == 0) continue;
      if (ball == 2) boxAttack(rival, moved, radius, mu);
      else scale(rival, moved, factor);
      slopes(rival, point, moved, a);
      for (let k = moved; k < width; k++) store<f32>(rival + (<usize>k << 2), a * load<f32>(point + (<usize>k << 2)));
      store<u8>(flags + <usize>c * most + <usize>at, 1);
      any = true;
    }
    if (!any) continue;
    memory.fill(own, 0, segment);
    for (let c = 0; c < classes; c++) {
      const at = load<i32>(slot + (<usize>c << 2));
      if (c == label || at < 0 || !load<u8>(flags + <usize>c * most + <usize>at)) continue;
      subtract(own, b + <usize>c * blockBytes + <usize>at * segment, width);
    }
    store<u8>(flags + <usize>label * most + place, 1);
  }
}

/** Moves the flagged segments of a block to its front and their bits to `kept`; returns their number. */
export function compact(count: i32, block: usize, segment: usize, flags: usize, bits: usize, bitStep: usize, kept: usize): i32 {
  let active = 0;
  for (let row = 0; row < count; row++) {
    if (!load<u8>(flags + <usize>row)) continue;
    if (active != row) memory.copy(block + <usize>active * segment, block + <usize>row * segment, segment);
    memory.copy(kept + <usize>active * bitStep, bits + <usize>row * bitStep, bitStep);
    active++;
  }
  return active;
}

/** Writes B_c - B_y over B_c and returns its product with x. */
function opposeScores(own: usize, rival: usize, x: usize, width: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0;
  const whole = width & ~7;
  let k: usize = 0;
  for (let i = 0; i < whole; i += 8) {
    const a0 = f32x4.sub(v128.load(rival + k), v128.load(own + k));
    const a1 = f32x4.sub(v128.load(rival + k, 16), v128.load(own + k, 16));
    v128.store(rival + k, a0);
    v128.store(rival + k, a1, 16);
    s0 = f32x4.add(s0, f32x4.mul(a0, v128.load(x + k)));
    s1 = f32x4.add(s1, f32x4.mul(a1, v128.load(x + k, 16)));
    k += 32;
  }
  let sum = total(f32x4.add(s0, s1));
  for (let i = whole; i < width; i++) {
    const a = load<f32>(rival + k) - load<f32>(own + k);
    store<f32>(rival + k, a);
    sum += a * load<f32>(x + k);
    k += 4;
  }
  return sum;
}

function squares(a: usize, length: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0;
  const whole = length & ~7;
  for (let i = 0; i < whole; i += 8) {
    const at = a + (<usize>i << 2);
    const v0 = v128.load(at), v1 = v128.load(at, 16);
    s0 = f32x4.add(s0, f32x4.mul(v0, v0));
    s1 = f32x4.add(s1, f32x4.mul(v1, v1));
  }
  let sum = total(f32x4.add(s0, s1));
  for (let i = whole; i < length; i++) {
    const t = load<f32>(a + (<usize>i << 2));
    sum += t * t;
  }
  return sum;
}

function absolutes(a: usize, length: i32): f32 {
  let s = f32x4.splat(0);
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) s = f32x4.add(s, f32x4.abs(v128.load(a + (<usize>i << 2))));
  let sum = total(s);
  for (let i = whole; i < length; i++) sum += Mathf.abs(load<f32>(a + (<usize>i << 2)));
  return sum;
}

/** max z'a - mu/2 |z|^2 over |z_k| <= radius */
function boxSupport(a: usize, length: i32, radius: f32, mu: f32): f32 {
  let sum: f32 = 0;
  for (let i = 0; i < length; i++) {
    const t = load<f32>(a + (<usize>i << 2));
    const z = max<f32>(-radius, min<f32>(radius, t / mu));
    sum += z * (t - (mu / 2) * z);
  }
  return sum;
}

/** a <- the maximiser of boxSupport */
function boxAttack(a: usize, length: i32, radius: f32, mu: f32): void {
  for (let i = 0; i < length; i++) {
    const at = a + (<usize>i << 2);
    store<f32>(at, max<f32>(-radius, min<f32>(radius, load<f32>(at) / mu)));
  }
}

function scale(a: usize, length: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const at = a + (<usize>i << 2);
    v128.store(at, f32x4.mul(f, v128.load(at)));
  }
  for (let i = whole; i < length; i++) {
    const at = a + (<usize>i << 2);
    store<f32>(at, factor * load<f32>(at));
  }
}

/** z <- a (x + z) */
function slopes(z: usize, x: usize, length: i32, a: f32): void {
  const f = f32x4.splat(a);
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const k = <usize>i << 2;
    v128.store(z + k, f32x4.mul(f, f32x4.add(v128.load(x + k), v128.load(z + k))));
  }
  for (let i = whole; i < length; i++) {
    const k = <usize>i << 2;
    store<f32>(z + k, a * (load<f32>(x + k) + load<f32>(z + k)));
  }
}

function subtract(to: usize, a: usize, length: i32): void {
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const k = <usize>i << 2;
    v128.store(to + k, f32x4.sub(v128.load(to + k), v128.load(a + k)));
  }
  for (let i = whole; i < length; i++) {
    const k = <usize>i << 2;
    store<f32>(to + k, load<f32>(to + k) - load<f32>(a + k));
  }
}
