// A U-Net that learns, in the page: the slopes of the loss by hand, backwards through the network.
// (A slope is how much the loss changes with a number. They lie beside the numbers, in the same order.)

/** Each operation also writes down how slopes go back through it; `tape` holds that, in the order it was done. */
class Learner extends UNet {
  /** @param {Config} config without classes @param {Weights} weights */
  constructor(config, weights, makeOperations) {
    // The slopes and the turned weights stay, too; and features keep theirs, and a padded copy, until the end.
    super(config, weights, (kept, taken) => makeOperations(3 * kept, 4 * taken));
    this.count = Object.values(this.layers).reduce((sum, {numbers}) => sum + numbers.length, 0);
    this.weights = this.ops.numbers.subarray(0, this.count); // all of them, as they were kept
    this.slopes = this.ops.keep(this.count);
    for (const layer of Object.values(this.layers)) {
      const top = (layer.numbers.byteOffset - this.weights.byteOffset) / 4;
      layer.slopes = this.slopes.subarray(top, top + layer.numbers.length);
      if (layer.inputs > 1) layer.turned = this.ops.keep(layer.numbers.length);
    }
    this.tape = [];
  }

  /** Untrained: the numbers of each tensor evenly from centre ± reach. @param {[number, number][]} begins */
  begin(begins, seed) {
    const next = wholes(seed, 3);
    Object.values(this.layers).forEach(({numbers}, k) => {
      const [centre, reach] = begins[k];
      for (let i = 0; i < numbers.length; i++) numbers[i] = centre + reach * (2 * next() / 2 ** 32 - 1);
    });
  }

  /** From here on: new slopes of 0, by the weights as they are. */
  start() {
    this.slopes.fill(0);
    for (const {numbers, turned, inputs, outputs, size} of Object.values(this.layers)) if (turned) {
      const last = size ** 2 - 1; // seen from the output, a window stands upside down, and channels are exchanged
      for (let p = 0; p <= last; p++) for (let c = 0; c < inputs; c++) for (let o = 0; o < outputs; o++)
        turned[((last - p) * outputs + o) * inputs + c] = numbers[(p * inputs + c) * outputs + o];
    }
  }

  /**
   * Adds the slopes of share · mean (ε − ε_θ(x_t, t))² to those before, and gives back the mean (DDPM eq. 14).
   * @param {Float32Array} xt @param {number} t @param {Float32Array} eps @param {number} share
   */
  learn(xt, t, eps, share) {
    const said = this.forward(xt, t), count = eps.length;
    let loss = 0;
    const slopes = said.map((value, k) => {
      loss += (value - eps[k]) ** 2 / count;
      return 2 * share * (value - eps[k]) / count;
    });
    this.last.slopes.set(this.toPatches(slopes).data);
    while (this.tape.length) this.tape.pop()();
    return loss;
  }

  /** @param {Features} out @param {() => void} back adds to the slopes of what `out` was made of */
  record(out, back) {
    out.slopes = this.ops.take(out.height, out.width, out.channels).data.fill(0);
    this.tape.push(back);
    return out;
  }

  forward(x, t) {
    this.tape = [];
    return super.forward(x, t);
  }

  toPixels(h) {
    this.last = h;
    return super.toPixels(h);
  }

  conv(name, x, stride = 1) {
    const out = super.conv(name, x, stride);
    return this.record(out, () => {
      const {slopes, turned, inputs, outputs, size} = this.layers[`${name}.weight`], top = this.ops.top;
      const bias = this.layers[`${name}.bias`].slopes, dOut = {...out, data: out.slopes};
      for (let p = 0; p < dOut.data.length; p += outputs) for (let o = 0; o < outputs; o++) bias[o] += dOut.data[p + o];
      this.ops.convSlopes(x, dOut, size, stride, slopes);
      if (x.slopes) {
        const layer = {weight: turned, bias: this.still.subarray(0, inputs), size, channels: outputs, channelsOut: inputs};
        plus(x.slopes, this.ops.conv(stride > 1 ? this.apart(dOut, stride) : dOut, layer, 1).data);
      }
      this.ops.top = top; // what was taken only for this is free again
    });
  }

  /** With zeros between the places: where a window went two places at a time, those were left out. */
  apart({data, height, width, channels}, stride) {
    const out = this.ops.take(stride * height, stride * width, channels);
    out.data.fill(0);
    for (let y = 0, k = 0; y < out.height; y += stride) for (let at = 0; at < out.width; at += stride, k += channels)
      out.data.set(data.subarray(k, k + channels), (y * out.width + at) * channels);
    return out;
  }

  /** y = SiLU(v), v = u (1 + scale) + shift, u = weight n + bias, n = (x − mean)/√(variance + 10⁻⁵). */
  normSilu(name, x, scaleShift) {
    const out = super.normSilu(name, x, scaleShift);
    const {numbers: weight, slopes: dWeight} = this.layers[`${name}.weight`];
    const {numbers: bias, slopes: dBias} = this.layers[`${name}.bias`];
    return this.record(out, () => {
      const {data, channels} = x, each = channels / Math.min(8, channels), count = data.length / channels * each;
      const dn = new Float32Array(data.length);
      for (let first = 0; first < channels; first += each) {
        let mean = 0, variance = 0, sum = 0, along = 0;
        for (let c = first; c < first + each; c++) for (let p = c; p < data.length; p += channels) mean += data[p];
        mean /= count;
        for (let c = first; c < first + each; c++)
          for (let p = c; p < data.length; p += channels) variance += (data[p] - mean) ** 2;
        const scale = 1 / Math.sqrt(variance / count + 1e-5);
        for (let c = first; c < first + each; c++) {
          const bend = scaleShift ? 1 + scaleShift.data[c] : 1, shift = scaleShift ? scaleShift.data[channels + c] : 0;
          let dv = 0, dvu = 0, dvn = 0; // summed over the places
          for (let p = c; p < data.length; p += channels) {
            const n = (data[p] - mean) * scale, u = weight[c] * n + bias[c], v = u * bend + shift;
            const share = 1 / (1 + Math.exp(-v)), here = out.slopes[p] * share * (1 + v * (1 - share));
            dv += here;
            dvu += here * u;
            dvn += here * n;
            dn[p] = here * bend * weight[c];
          }
          if (scaleShift) {
            scaleShift.slopes[c] += dvu;
            scaleShift.slopes[channels + c] += dv;
          }
          dWeight[c] += bend * dvn;
          dBias[c] += bend * dv;
          sum += bend * weight[c] * dv / count;
          along += bend * weight[c] * dvn / count;
        }
        for (let c = first; c < first + each; c++) for (let p = c; p < data.length; p += channels)
          x.slopes[p] += (dn[p] - sum - along * (data[p] - mean) * scale) * scale; // x is in mean and variance, too
      }
    });
  }

  silu(x) {
    const out = super.silu(x);
    return this.record(out, () => {
      for (let k = 0; k < x.data.length; k++) {
        const share = 1 / (1 + Math.exp(-x.data[k]));
        x.slopes[k] += out.slopes[k] * share * (1 + x.data[k] * (1 - share));
      }
    });
  }

  add(a, b) {
    this.tape.push(() => plus(b.slopes, a.slopes));
    return super.add(a, b);
  }

  concat(a, b) {
    const out = super.concat(a, b);
    return this.record(out, () => {
      for (let k = 0; k < out.slopes.length; k++) {
        const place = Math.floor(k / out.channels), c = k % out.channels;
        if (c < a.channels) a.slopes[place * a.channels + c] += out.slopes[k];
        else b.slopes[place * b.channels + c - a.channels] += out.slopes[k];
      }
    });
  }

  twice(x) {
    const out = super.twice(x);
    return this.record(out, () => {
      for (let k = 0; k < out.slopes.length; k++) {
        const place = Math.floor(k / x.channels), y = Math.floor(place / out.width) >> 1, at = place % out.width >> 1;
        x.slopes[(y * x.width + at) * x.channels + k % x.channels] += out.slopes[k];
      }
    });
  }
}

function plus(sum, numbers) {
  for (let k = 0; k < sum.length; k++) sum[k] += numbers[k];
}
