// How a page gets a network: its numbers are unpacked, and figures find it by its key.

/** Numbers of half precision, which JavaScript has no arrays of everywhere yet. @param {Uint16Array} halves */
function fromHalf(halves) {
  return Float32Array.from(halves, bits => {
    const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, rest = bits & 1023;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : 2 ** -24 * rest);
  });
}

/** @param {string} text in base64 @returns {Uint8Array} */
function bytes(text) {
  return Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
}

/**
 * A network by its key in globalThis.diffusionLesson, for every figure of the page. Its numbers are unpacked when one
 * is first asked for.
 * @param {{config: Config, T: number, predicts: string, shapes: [string, number[]][], weights: string, kernels: string,
 *   training?: object, begins?: [number, number][]}} given a network that learns has no weights yet
 * @param {typeof UNet} Network what is made of them
 */
function register(key, {config, T, predicts, shapes, weights, kernels, training, begins}, Network = UNet) {
  let made = null;
  const network = (plain = false) => {
    const numbers = fromHalf(new Uint16Array(bytes(weights).buffer)), named = {};
    let top = 0;
    for (const [name, shape] of shapes) {
      const count = shape.reduce((a, b) => a * b, 1);
      named[name] = {shape, data: begins ? new Float32Array(count) : numbers.subarray(top, top += count)};
    }
    const make = (kept, taken) => plain ? new PlainOperations(kept, taken) : operations(kept, taken, bytes(kernels));
    return {unet: new Network(config, named, make), schedule: cosine(T), predicts, training, begins};
  };
  const wake = root => KINDS[root.dataset.kind](new Figure(root, made ??= network()));
  const all = globalThis.diffusionLesson ??= {};
  all[key] ??= {network, wake, guess, ddim, noisy, normals, ...Network.also};
  globalThis.document?.dispatchEvent(new Event(`diffusion-lesson-${key}`));
}
