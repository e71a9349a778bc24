// The U-Net of networks/unet.py, on one grey picture at a time, with the same names for the same things.

/**
 * @typedef {{width: number, mults: number[], patch: number, classes: number, size: number}} Config
 *   as networks/unet.py has it, and the height and width of the pictures
 * @typedef {{[name: string]: {shape: number[], data: Float32Array}}} Weights the network's own names and layout
 */

class UNet {
  static also = {}; // what else is handed out with it

  /**
   * @param {Config} config @param {Weights} weights
   * @param {(kept: number, taken: number) => PlainOperations} makeOperations
   */
  constructor(config, weights, makeOperations) {
    this.config = config;
    this.widths = config.mults.map(mult => config.width * mult);
    const kept = Object.values(weights).reduce((sum, {data}) => sum + data.length, 0) + 4 * Math.max(...this.widths);
    // A level makes fewer than 32 features of its size and width, borders counted in.
    const side = level => config.size / config.patch / 2 ** level + 2;
    const taken = this.widths.reduce((sum, width, level) => sum + 32 * width * side(level) ** 2, 1024 * config.width);
    this.ops = makeOperations(kept, taken);
    this.layers = {};
    for (const name in weights) this.layers[name] = this.kept(weights[name]);
    this.still = this.ops.keep(4 * Math.max(...this.widths)); // scales and shifts of 0
  }

  /** A tensor in the operations' memory: output channels last, so that a row of them can be added at once. */
  kept({shape: [outputs, inputs = 1, height = 1, width = 1], data}) {
    const numbers = this.ops.keep(data.length), places = height * width;
    for (let o = 0; o < outputs; o++) for (let c = 0; c < inputs; c++) for (let p = 0; p < places; p++)
      numbers[(p * inputs + c) * outputs + o] = data[(o * inputs + c) * places + p];
    return {numbers, outputs, inputs, size: height};
  }

  /** @param {Float32Array} x size × size, row by row @param {number} t @param {number} label classes: "no label" */
  forward(x, t, label = this.config.classes) {
    this.ops.begin();
    const e = this.embedding(t, label);
    let h = this.conv("stem", this.toPatches(x));
    const skips = [];
    for (let level = 0; level < this.widths.length; level++) {
      if (level > 0) h = this.conv(`downsample.${level}`, h, 2);
      h = this.block(`down_blocks.${level}`, h, e);
      skips.push(h);
    }
    h = this.block("middle", h, e);
    for (let level = this.widths.length - 1; level >= 0; level--) {
      h = this.block(`up_blocks.${level}`, this.concat(h, skips.pop()), e);
      if (level > 0) h = this.conv(`upsample.${level}.1`, this.twice(h));
    }
    return this.toPixels(this.conv("head", this.normSilu("norm", h)));
  }

  /** x + convolutions(x), scaled and shifted between the two by what is known of step and label. */
  block(name, x, e) {
    let h = this.conv(`${name}.conv1`, this.normSilu(`${name}.norm1`, x));
    const scaleShift = this.conv(`${name}.scale_shift`, e);
    h = this.conv(`${name}.conv2`, this.normSilu(`${name}.norm2`, h, scaleShift));
    return this.add(h, `${name}.shortcut.weight` in this.layers ? this.conv(`${name}.shortcut`, x) : x);
  }

  /** What every block gets to know: the step, and the class if there are any. */
  embedding(t, label) {
    const half = this.config.width / 2, waves = this.ops.take(1, 1, 2 * half);
    for (let k = 0; k < half; k++) {
      const angle = t * Math.exp(-Math.log(10000) / half * k);
      waves.data[k] = Math.sin(angle);
      waves.data[half + k] = Math.cos(angle);
    }
    const e = this.conv("time.2", this.silu(this.conv("time.0", waves)));
    if (this.config.classes) {
      const {numbers, outputs} = this.layers["label.weight"]; // here a table's rows stand last
      for (let k = 0; k < e.channels; k++) e.data[k] += numbers[k * outputs + label];
    }
    return this.silu(e);
  }

  /** @returns {Features} of a convolution; of a linear layer, which is one of size 1 on a picture of one pixel */
  conv(name, x, stride = 1) {
    const {numbers: weight, outputs: channelsOut, inputs: channels, size} = this.layers[`${name}.weight`];
    const bias = this.layers[`${name}.bias`].numbers;
    return this.ops.conv(x, {weight, bias, size, channels, channelsOut}, stride);
  }

  /** @param {Features} x @param {Features} [scaleShift] @returns {Features} */
  normSilu(name, x, scaleShift) {
    const weight = this.layers[`${name}.weight`].numbers, bias = this.layers[`${name}.bias`].numbers;
    return this.ops.normSilu(x, {weight, bias}, scaleShift ? scaleShift.data : this.still);
  }

  /** patch × patch pixels become the channels of one place. */
  toPatches(x) {
    const {size, patch} = this.config, h = this.ops.take(size / patch, size / patch, patch ** 2);
    this.eachPixel((pixel, k) => { h.data[k] = x[pixel]; });
    return h;
  }

  /** And back. The result is the caller's own. */
  toPixels(h) {
    const x = new Float32Array(this.config.size ** 2);
    this.eachPixel((pixel, k) => { x[pixel] = h.data[k]; });
    return x;
  }

  eachPixel(visit) {
    const {size, patch} = this.config;
    for (let row = 0, pixel = 0; row < size; row++) for (let column = 0; column < size; column++, pixel++) {
      const place = Math.floor(row / patch) * size / patch + Math.floor(column / patch);
      visit(pixel, place * patch ** 2 + row % patch * patch + column % patch);
    }
  }

  /** SiLU(v) = v/(1 + e^−v). @param {Features} x @returns {Features} */
  silu(x) {
    const out = this.ops.take(x.height, x.width, x.channels);
    for (let k = 0; k < x.data.length; k++) out.data[k] = x.data[k] / (1 + Math.exp(-x.data[k]));
    return out;
  }

  /** a + b, in the place of a. */
  add(a, b) {
    for (let k = 0; k < a.data.length; k++) a.data[k] += b.data[k];
    return a;
  }

  /** The channels of a, then those of b. */
  concat(a, b) {
    const out = this.ops.take(a.height, a.width, a.channels + b.channels);
    for (let p = 0; p < a.height * a.width; p++) {
      out.data.set(a.data.subarray(p * a.channels, (p + 1) * a.channels), p * out.channels);
      out.data.set(b.data.subarray(p * b.channels, (p + 1) * b.channels), p * out.channels + a.channels);
    }
    return out;
  }

  /** Twice the height and the width: each place four times. */
  twice({data, height, width, channels}) {
    const out = this.ops.take(2 * height, 2 * width, channels);
    for (let y = 0; y < out.height; y++) for (let x = 0; x < out.width; x++) {
      const place = (y >> 1) * width + (x >> 1);
      out.data.set(data.subarray(place * channels, (place + 1) * channels), (y * out.width + x) * channels);
    }
    return out;
  }
}
