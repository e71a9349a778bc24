// What takes a U-Net's time, in AssemblyScript: four numbers of single precision at once.
//
// npm install assemblyscript@0.28.20
// npx asc kernels.ts -o kernels.wasm -O3 --noAssert --runtime stub --importMemory --noExportMemory --enable simd
//
// Addresses are in bytes, in a memory that the caller owns. Features lie as (place, channel), and there are
// always 4 n channels to write.

/** Features (height, width, channels) with a border of one zero on each side, as a 3 × 3 convolution reads them. */
export function pad(x: usize, height: i32, width: i32, channels: i32, out: usize): void {
  const row = <usize>(width * channels) << 2, border = <usize>channels << 2;
  const wide = row + 2 * border;
  memory.fill(out, 0, wide * <usize>(height + 2));
  for (let y = 0; y < height; y++) memory.copy(out + wide * <usize>(y + 1) + border, x + row * <usize>y, row);
}

/**
 * out[y, x, o] = bias[o] + Σ_ijc weight[i, j, c, o] · in[stride·y + i, stride·x + j, c], i and j from 0 to size − 1.
 *
 * x: the padded input, `across` wide. weight: (size, size, channels, channelsOut). out: (height, width, channelsOut).
 */
export function conv(
  x: usize, across: i32, channels: i32, weight: usize, bias: usize, size: i32, stride: i32,
  out: usize, height: i32, width: i32, channelsOut: i32
): void {
  const step = <usize>(stride * channels) << 2, next = <usize>channelsOut << 2;
  const run = size * channels; // of a row of the window: its places lie one after the other
  for (let y = 0; y < height; y++) {
    for (let at = 0; at < width; at += 4) {
      // Four places at once, so that a weight that was fetched is used four times. At a row's end some are one.
      const p0 = x + (<usize>((y * stride * across + at * stride) * channels) << 2);
      const p1 = at + 1 < width ? p0 + step : p0, p2 = at + 2 < width ? p1 + step : p1, p3 = at + 3 < width ? p2 + step : p2;
      const o0 = out + <usize>(y * width + at) * next;
      const o1 = o0 + <usize>(p1 - p0) / step * next, o2 = o0 + <usize>(p2 - p0) / step * next, o3 = o0 + <usize>(p3 - p0) / step * next;
      let o = 0;
      for (; o + 8 <= channelsOut; o += 8) {
        const place = <usize>o << 2;
        let a0 = v128.load(bias + place), b0 = v128.load(bias + place, 16);
        let a1 = a0, a2 = a0, a3 = a0, b1 = b0, b2 = b0, b3 = b0;
        let w = weight + place;
        for (let i = 0; i < size; i++) {
          let from = <usize>(i * across * channels) << 2;
          for (let n = 0; n < run; n++) {
            const wa = v128.load(w), wb = v128.load(w, 16);
            const v0 = v128.load32_splat(p0 + from), v1 = v128.load32_splat(p1 + from);
            a0 = f32x4.add(a0, f32x4.mul(v0, wa)); b0 = f32x4.add(b0, f32x4.mul(v0, wb));
            a1 = f32x4.add(a1, f32x4.mul(v1, wa)); b1 = f32x4.add(b1, f32x4.mul(v1, wb));
            const v2 = v128.load32_splat(p2 + from), v3 = v128.load32_splat(p3 + from);
            a2 = f32x4.add(a2, f32x4.mul(v2, wa)); b2 = f32x4.add(b2, f32x4.mul(v2, wb));
            a3 = f32x4.add(a3, f32x4.mul(v3, wa)); b3 = f32x4.add(b3, f32x4.mul(v3, wb));
            from += 4; w += next;
          }
        }
        v128.store(o3 + place, a3); v128.store(o3 + place, b3, 16);
        v128.store(o2 + place, a2); v128.store(o2 + place, b2, 16);
        v128.store(o1 + place, a1); v128.store(o1 + place, b1, 16);
        v128.store(o0 + place, a0); v128.store(o0 + place, b0, 16);
      }
      for (; o < channelsOut; o += 4) {
        const place = <usize>o << 2;
        let a0 = v128.load(bias + place), a1 = a0, a2 = a0, a3 = a0;
        let w = weight + place;
        for (let i = 0; i < size; i++) {
          let from = <usize>(i * across * channels) << 2;
          for (let n = 0; n < run; n++) {
            const wa = v128.load(w);
            a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(p0 + from), wa));
            a1 = f32x4.add(a1, f32x4.mul(v128.load32_splat(p1 + from), wa));
            a2 = f32x4.add(a2, f32x4.mul(v128.load32_splat(p2 + from), wa));
            a3 = f32x4.add(a3, f32x4.mul(v128.load32_splat(p3 + from), wa));
            from += 4; w += next;
          }
        }
        v128.store(o3 + place, a3); v128.store(o2 + place, a2); v128.store(o1 + place, a1); v128.store(o0 + place, a0);
      }
    }
  }
}

/**
 * slopes[i, j, c, o] += Σ_yx dOut[y, x, o] · in[stride·y + i, stride·x + j, c]: how the loss changes with a weight of
 * `conv`, from how it changes with its output. Here channels is a multiple of 4, and channelsOut of 8.
 */
export function convSlopes(
  x: usize, across: i32, channels: i32, dOut: usize, size: i32, stride: i32,
  height: i32, width: i32, channelsOut: i32, slopes: usize
): void {
  const step = <usize>(stride * channels) << 2, next = <usize>channelsOut << 2;
  for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) {
    for (let c = 0; c < channels; c += 4) {
      // Four input channels by eight output channels at once, so that what was fetched is used often.
      const first = x + (<usize>((i * across + j) * channels + c) << 2);
      for (let o: usize = 0; o < next; o += 32) {
        const s0 = slopes + o, s1 = s0 + next, s2 = s1 + next, s3 = s2 + next;
        let a0 = v128.load(s0), a1 = v128.load(s1), a2 = v128.load(s2), a3 = v128.load(s3);
        let b0 = v128.load(s0, 16), b1 = v128.load(s1, 16), b2 = v128.load(s2, 16), b3 = v128.load(s3, 16);
        let d = dOut + o;
        for (let y = 0; y < height; y++) {
          let from = first + (<usize>(y * stride * across * channels) << 2);
          for (let at = 0; at < width; at++) {
            const da = v128.load(d), db = v128.load(d, 16);
            const v0 = v128.load32_splat(from), v1 = v128.load32_splat(from, 4);
            a0 = f32x4.add(a0, f32x4.mul(v0, da)); b0 = f32x4.add(b0, f32x4.mul(v0, db));
            a1 = f32x4.add(a1, f32x4.mul(v1, da)); b1 = f32x4.add(b1, f32x4.mul(v1, db));
            const v2 = v128.load32_splat(from, 8), v3 = v128.load32_splat(from, 12);
            a2 = f32x4.add(a2, f32x4.mul(v2, da)); b2 = f32x4.add(b2, f32x4.mul(v2, db));
            a3 = f32x4.add(a3, f32x4.mul(v3, da)); b3 = f32x4.add(b3, f32x4.mul(v3, db));
            d += next; from += step;
          }
        }
        v128.store(s0, a0); v128.store(s1, a1); v128.store(s2, a2); v128.store(s3, a3);
        v128.store(s0, b0, 16); v128.store(s1, b1, 16); v128.store(s2, b2, 16); v128.store(s3, b3, 16);
      }
      slopes += 4 * next;
    }
  }
}

/** e^x, to a few units of the last digit: 2^n e^r with r = x − n ln 2, and a polynomial for e^r. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function exp(x: v128): v128 {
  x = f32x4.max(f32x4.min(x, f32x4.splat(88)), f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504088896)));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))), f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.0 / 5040);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 720));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 120));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 24));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 6));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  return f32x4.mul(p, i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23));
}

/**
 * out = SiLU(GroupNorm(x) (1 + scale) + shift), SiLU(v) = v/(1 + e^−v), of x (places, channels).
 *
 * weight, bias: the norm's own. scale, shift: one number a channel. room: 2 · channels numbers to work in.
 */
export function normSilu(
  x: usize, places: i32, channels: i32, groups: i32, weight: usize, bias: usize, scale: usize, shift: usize,
  room: usize, out: usize
): void {
  const row = <usize>channels << 2, end = x + row * <usize>places, each = channels / groups;
  const slope = room, level = room + row; // in the end out = SiLU(slope · x + level), one of each a channel
  for (let round = 0; round < 2; round++) {
    // Round 0 sums x, round 1 the squares of x − mean: no difference of large numbers is taken.
    for (let c: usize = 0; c < row; c += 16) {
      const mean = v128.load(level + c);
      let sum = f32x4.splat(0);
      for (let p = x + c; p < end; p += row) {
        if (round == 0) sum = f32x4.add(sum, v128.load(p));
        else { const d = f32x4.sub(v128.load(p), mean); sum = f32x4.add(sum, f32x4.mul(d, d)); }
      }
      v128.store(slope + c, sum);
    }
    for (let g = 0; g < groups; g++) {
      const first = <usize>(g * each) << 2, last = first + (<usize>each << 2);
      let sum: f64 = 0;
      for (let c = first; c < last; c += 4) sum += load<f32>(slope + c);
      sum /= <f64>(places * each);
      for (let c = first; c < last; c += 4) {
        if (round == 0) { store<f32>(level + c, <f32>sum); continue; }
        const bend: f64 = 1 + <f64>load<f32>(scale + c), mean: f64 = load<f32>(level + c);
        const a: f64 = <f64>load<f32>(weight + c) / Math.sqrt(sum + 1e-5);
        store<f32>(slope + c, <f32>(a * bend));
        store<f32>(level + c, <f32>((<f64>load<f32>(bias + c) - mean * a) * bend + <f64>load<f32>(shift + c)));
      }
    }
  }
  for (let c: usize = 0; c < row; c += 16) {
    const a = v128.load(slope + c), b = v128.load(level + c), one = f32x4.splat(1);
    for (let p = x + c, q = out + c; p < end; p += row, q += row) {
      const v = f32x4.add(f32x4.mul(v128.load(p), a), b);
      v128.store(q, f32x4.div(v, f32x4.add(one, exp(f32x4.neg(v)))));
    }
  }
}
