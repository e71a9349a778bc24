// What the U-Net computes with: memory, a convolution, and a normalisation with SiLU. Once in plain JavaScript,
// once by kernels.ts. Features lie as (place, channel): the channels of a place side by side.

/**
 * @typedef {{data: Float32Array, height: number, width: number, channels: number}} Features
 * @typedef {{weight: Float32Array, bias: Float32Array, size: number, channels: number, channelsOut: number}} Conv
 *   weight: (size, size, channels, channelsOut), where PyTorch has (channelsOut, channels, size, size)
 * @typedef {{weight: Float32Array, bias: Float32Array}} Norm
 */

class PlainOperations {
  /** @param {number} kept @param {number} taken how many numbers may be held for good, and during one call */
  constructor(kept, taken) {
    this.numbers = new Float32Array(kept + taken);
    this.top = 0;
    this.bottom = kept; // below it lies what is kept
  }

  /** Room for numbers that stay. @param {number} count @returns {Float32Array} */
  keep(count) {
    const room = this.numbers.subarray(this.top, this.top + count);
    this.top += count;
    return room;
  }

  /** From here on, room is taken for one call of the network, and the last call's is free again. */
  begin() {
    this.top = this.bottom;
  }

  /** @param {number} height @param {number} width @param {number} channels @returns {Features} */
  take(height, width, channels) {
    const count = height * width * channels;
    if (this.top + count > this.numbers.length) throw new RangeError("the network needs more memory than it was given");
    return {data: this.keep(count), height, width, channels};
  }

  /** A convolution with a border of zeros. @param {Features} x @param {Conv} layer @param {number} stride */
  conv(x, {weight, bias, size, channels, channelsOut}, stride) {
    const out = this.take(Math.ceil(x.height / stride), Math.ceil(x.width / stride), channelsOut);
    const border = size >> 1;
    for (let y = 0; y < out.height; y++) for (let at = 0; at < out.width; at++) {
      const sum = out.data.subarray((y * out.width + at) * channelsOut, (y * out.width + at + 1) * channelsOut);
      sum.set(bias);
      for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) {
        const row = y * stride + i - border, column = at * stride + j - border;
        if (row < 0 || row >= x.height || column < 0 || column >= x.width) continue;
        for (let c = 0; c < channels; c++) {
          const value = x.data[(row * x.width + column) * channels + c];
          const w = ((i * size + j) * channels + c) * channelsOut;
          for (let o = 0; o < channelsOut; o++) sum[o] += value * weight[w + o];
        }
      }
    }
    return out;
  }

  /**
   * slopes += how the loss changes with a convolution's weights, if it changes with its output as `dOut` says.
   * @param {Features} x its input @param {Features} dOut @param {number} size @param {number} stride
   */
  convSlopes(x, dOut, size, stride, slopes) {
    const border = size >> 1;
    for (let y = 0; y < dOut.height; y++) for (let at = 0; at < dOut.width; at++) {
      const place = (y * dOut.width + at) * dOut.channels;
      for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) {
        const row = y * stride + i - border, column = at * stride + j - border;
        if (row < 0 || row >= x.height || column < 0 || column >= x.width) continue;
        for (let c = 0; c < x.channels; c++) {
          const value = x.data[(row * x.width + column) * x.channels + c];
          const w = ((i * size + j) * x.channels + c) * dOut.channels;
          for (let o = 0; o < dOut.channels; o++) slopes[w + o] += value * dOut.data[place + o];
        }
      }
    }
  }

  /**
   * SiLU(GroupNorm(x) (1 + scale) + shift). scaleShift: one scale for each channel, then one shift for each.
   * @param {Features} x @param {Norm} norm @param {Float32Array} scaleShift @returns {Features}
   */
  normSilu(x, norm, scaleShift) {
    const {data, height, width, channels} = x, out = this.take(height, width, channels);
    const groups = Math.min(8, channels), each = channels / groups, count = height * width * each;
    for (let c = 0; c < channels; c += each) {
      let mean = 0, variance = 0;
      for (let p = c; p < data.length; p += channels) for (let k = p; k < p + each; k++) mean += data[k] / count;
      for (let p = c; p < data.length; p += channels)
        for (let k = p; k < p + each; k++) variance += (data[k] - mean) ** 2 / count;
      for (let k = c; k < c + each; k++) {
        const a = norm.weight[k] / Math.sqrt(variance + 1e-5), bend = 1 + scaleShift[k];
        for (let p = k; p < data.length; p += channels) {
          const v = ((data[p] - mean) * a + norm.bias[k]) * bend + scaleShift[channels + k];
          out.data[p] = v / (1 + Math.exp(-v));
        }
      }
    }
    return out;
  }
}

class WasmOperations extends PlainOperations {
  /** @param {number} kept @param {number} taken @param {Uint8Array} code of kernels.ts */
  constructor(kept, taken, code) {
    super(0, 0);
    const memory = new WebAssembly.Memory({initial: Math.ceil((kept + taken) / 16384)});
    this.kernels = new WebAssembly.Instance(new WebAssembly.Module(code), {env: {memory}}).exports;
    this.numbers = new Float32Array(memory.buffer);
    this.bottom = kept;
  }

  /** @param {Features} x @param {Conv} layer @param {number} stride */
  conv(x, layer, stride) {
    const {weight, bias, size, channels, channelsOut} = layer;
    if (channelsOut % 4) return super.conv(x, layer, stride); // it writes four channels at a time
    const padded = this.padded(x, size);
    const out = this.take(Math.ceil(x.height / stride), Math.ceil(x.width / stride), channelsOut);
    const at = [padded.data, weight, bias, out.data].map(numbers => numbers.byteOffset);
    this.kernels.conv(at[0], padded.width, channels, at[1], at[2], size, stride, at[3], out.height, out.width, channelsOut);
    return out;
  }

  /** With a border of zeros, where the window reaches over the edge. */
  padded(x, size) {
    if (size === 1) return x;
    const out = this.take(x.height + 2, x.width + 2, x.channels);
    this.kernels.pad(x.data.byteOffset, x.height, x.width, x.channels, out.data.byteOffset);
    return out;
  }

  convSlopes(x, dOut, size, stride, slopes) {
    if (x.channels % 4 || dOut.channels % 8) return super.convSlopes(x, dOut, size, stride, slopes);
    const padded = this.padded(x, size), at = [padded.data, dOut.data, slopes].map(numbers => numbers.byteOffset);
    this.kernels.convSlopes(
      at[0], padded.width, x.channels, at[1], size, stride, dOut.height, dOut.width, dOut.channels, at[2]);
  }

  /** @param {Features} x @param {Norm} norm @param {Float32Array} scaleShift */
  normSilu(x, norm, scaleShift) {
    const {height, width, channels} = x, out = this.take(height, width, channels);
    const room = this.take(1, 2, channels).data, scale = scaleShift.byteOffset;
    const at = [norm.weight, norm.bias].map(numbers => numbers.byteOffset);
    this.kernels.normSilu(
      x.data.byteOffset, height * width, channels, Math.min(8, channels), at[0], at[1], scale, scale + 4 * channels,
      room.byteOffset, out.data.byteOffset);
    return out;
  }
}

/** By WebAssembly, where the page may run it and the processor has SIMD; else in plain JavaScript, eight times slower. */
function operations(kept, taken, code) {
  try {
    return new WasmOperations(kept, taken, code);
  } catch (error) {
    return new PlainOperations(kept, taken);
  }
}
