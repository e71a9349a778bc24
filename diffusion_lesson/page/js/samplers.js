// The schedule, the noise and the walk: process/schedule.cosine, process/prediction and process/samplers.ddim.

/** ᾱ_t and 1 − ᾱ_t of the cosine schedule, t = 0..T (arXiv:2102.09672 eq. 17). @param {number} T */
function cosine(T) {
  const f = t => Math.cos(Math.PI / 2 * (t / T + 0.008) / 1.008) ** 2;
  const signal = [1], noise = [0];
  for (let t = 1; t <= T; t++) {
    const beta = Math.min(1 - f(t) / f(t - 1), 0.999);
    signal.push(signal[t - 1] * (1 - beta));
    noise.push(beta + (1 - beta) * noise[t - 1]); // only positive numbers are added, so nothing cancels
  }
  return {T, signal, noise};
}

/**
 * Whole numbers 0 <= n < 2³², the same for the same seed: the generator sfc32 begun with (0, seed, stream, 1), its first
 * 15 numbers left out. @param {number} seed @param {number} stream @returns {() => number}
 */
function wholes(seed, stream) {
  let a = 0, b = seed | 0, c = stream | 0, counter = 1;
  const next = () => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ b >>> 9;
    b = (c + (c << 3)) | 0;
    c = ((c << 21 | c >>> 11) + out) | 0;
    return out >>> 0;
  };
  for (let k = 0; k < 15; k++) next();
  return next;
}

/**
 * Draws from N(0, 1): √(−2 ln((a + 1)/2³²)) cos(2π b/2³²) of two whole numbers a, b < 2³² (Box and Muller).
 * @param {number} seed @param {number} stream 0 for the noise a walk begins with, 1 for the noises on the way
 */
function normals(seed, stream = 0) {
  const next = wholes(seed, stream);
  const one = () => {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    return radius * Math.cos(2 * Math.PI * next() / 2 ** 32);
  };
  return count => Float32Array.from({length: count}, one);
}

/** x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε (DDPM eq. 4). */
function noisy(schedule, t, x0, eps) {
  const signal = Math.sqrt(schedule.signal[t]), noise = Math.sqrt(schedule.noise[t]);
  return x0.map((value, k) => signal * value + noise * eps[k]);
}

/**
 * x̂_0 of x_t, kept in [−1, 1]; label −1: none. Guided: x̂_u + guidance (x̂_c − x̂_u), which is the same of ε̂.
 * @param {{unet: UNet, schedule: {T: number, signal: number[], noise: number[]}, predicts: "v" | "eps"}} network
 */
function guess(network, x, t, {label = -1, guidance = 1} = {}) {
  const {unet, schedule, predicts} = network;
  const signal = Math.sqrt(schedule.signal[t]), noise = Math.sqrt(schedule.noise[t]);
  const x0Hat = label => {
    const out = unet.forward(x, t, label < 0 ? unet.config.classes : label);
    return predicts === "v"
      ? out.map((v, k) => signal * x[k] - noise * v)
      : out.map((eps, k) => (x[k] - noise * eps) / signal);
  };
  let x0 = x0Hat(guidance ? label : -1);
  if (label >= 0 && guidance !== 0 && guidance !== 1) {
    const free = x0Hat(-1);
    x0 = x0.map((told, k) => free[k] + guidance * (told - free[k]));
  }
  return x0.map(value => Math.min(1, Math.max(-1, value)));
}

/**
 * x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε̂ + σ z, from t to s < t (arXiv:2010.02502 eq. 12), beginning with x at step `from`.
 * Yields {x, x0, t} after each step: x_t, and the guess x̂_0 that led to it. z: draws of noise, as `normals` gives.
 */
function* ddim(network, x, {steps = 25, eta = 1, from = network.schedule.T, z, ...told}) {
  const {signal, noise} = network.schedule;
  for (let k = steps; k > 0; k--) {
    const t = even(from * k / steps), s = even(from * (k - 1) / steps);
    if (s === t) continue; // more steps than there are
    const x0 = guess(network, x, t, told);
    const variance = eta ** 2 * noise[s] / noise[t] * (1 - signal[t] / signal[s]);
    const a = Math.sqrt(signal[s]), b = Math.sqrt(noise[s] - variance), sigma = Math.sqrt(variance);
    const root = Math.sqrt(signal[t]), fresh = eta > 0 && s > 0 ? z(x.length) : null;
    x = x.map((value, i) => a * x0[i] + b * (value - root * x0[i]) / Math.sqrt(noise[t]) + (fresh ? sigma * fresh[i] : 0));
    yield {x, x0, t: s};
  }
}

/** The nearest whole number, the even one of two: as Python rounds. @param {number} value */
function even(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}
