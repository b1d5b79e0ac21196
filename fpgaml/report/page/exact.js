"use strict";
/* The exact network: integer codes in, the integer codes of every layer out.

   A layer is computed with Numbers where all that it meets is below 2**53, and with BigInts where `big` says that it
   may not be (Python decides that from the proven ranges). `same` turns codes and constants into the one kind of number
   of a layer; the arithmetic below is written once for both.

   net.layers: in order, each {name, kind, sources, shape, fraction, big, and what its kind has: kernel, type, ...}.
   A tensor is {shape, fraction, codes}; shapes leave out the images, channels last. */

const exact = (() => {
  const product = sizes => sizes.reduce((a, b) => a * b, 1);
  const number = code => Number(code);
  const whole = code => BigInt(code);
  const power = (n, same) => (same === whole ? 1n << BigInt(n) : 2 ** n);
  const floorDivide = (a, b) => {                          // towards minus infinity, as codes are rounded
    if (typeof a === "number") return Math.floor(a / b);   // b is a power of two, or both are small: see `divide`
    const q = a / b;
    return a % b !== 0n && (a < 0n) !== (b < 0n) ? q - 1n : q;
  };

  /* --- types ----------------------------------------------------------------------------------------------------- */

  function bounds(type) {                                  // lowest and highest code, as BigInts
    const width = BigInt(type.width);
    if (!type.signed) return [0n, (1n << width) - 1n];
    return [-(1n << (width - 1n)) + (type.overflow === "SAT_SYM" ? 1n : 0n), (1n << (width - 1n)) - 1n];
  }

  function grows(mode, floor, rest, half, negative) {      // does the number above `floor` stand for what was cut off?
    switch (mode) {
      case "TRN": return false;
      case "TRN_ZERO": return negative && rest > 0;
      case "RND": return rest >= half;
      case "RND_MIN_INF": return rest > half;
      case "RND_INF": return rest > half || (rest === half && !negative);
      case "RND_ZERO": return rest > half || (rest === half && negative);
      case "RND_CONV": return rest > half || (rest === half && BigInt(floor) % 2n !== 0n);
      default: throw new Error(`rounding mode ${mode}`);
    }
  }

  function caster(type, fraction, same) {                  // the function from codes of `fraction` to codes of `type`
    const drop = fraction - type.fraction, one = same(1);
    const [low, high] = bounds(type).map(same), size = power(type.width, same), zero = same(0);
    const up = power(Math.max(-drop, 0), same), unit = power(Math.max(drop, 0), same), half = drop > 0 ? unit / same(2) : zero;
    return code => {
      let y = code * up;
      if (drop > 0) {
        const floor = floorDivide(code, unit);
        y = grows(type.rounding, floor, code - floor * unit, half, code < zero) ? floor + one : floor;
      }
      if (y >= low && y <= high) return y;
      if (type.overflow === "SAT_ZERO") return zero;
      if (type.overflow !== "WRAP") return y < low ? low : high;
      const rest = ((y % size) + size) % size;
      return rest > high ? rest - size : rest;
    };
  }

  /* --- windows: one dimension is two, of height 1 ------------------------------------------------------------------ */

  const plane = shape => (shape.length === 2 ? [1, ...shape] : shape);
  const pair = (values, before) => (values.length === 1 ? [before, ...values] : values);

  function* windows(layer, x, window) {                    // [place in the output, [[place in the input, tap], ...]]
    const [height, width, channels] = plane(x.shape), [rows, columns] = plane(layer.shape);
    const [high, wide] = pair(window, 1), [down, right] = pair(layer.strides, 1), [[top], [left]] = pair(layer.padding, [0, 0]);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const seen = [];
        for (let i = 0; i < high; i++)
          for (let j = 0; j < wide; j++) {
            const y = row * down + i - top, z = column * right + j - left;
            if (y >= 0 && y < height && z >= 0 && z < width) seen.push([(y * width + z) * channels, i * wide + j]);
          }
        yield [row * columns + column, seen];
      }
  }

  function aligned(layer, x, kernel, bias, same) {         // weights on the grid of the sums, found once
    if (layer.aligned) return layer.aligned;
    const up = power(layer.fraction - x.fraction - kernel.type.fraction, same);
    const lift = power(layer.fraction - bias.type.fraction, same);
    const fast = codes => (same === whole ? codes : Float64Array.from(codes));
    return (layer.aligned = [fast(Array.from(kernel.codes, w => same(w) * up)), fast(Array.from(bias.codes, b => same(b) * lift))]);
  }

  /* --- what each kind of layer does: (layer, its inputs, the kind of number) -> codes ------------------------------- */

  const kinds = {
    Dense(layer, [x], same) {
      const [kernel, bias] = aligned(layer, x, layer.kernel, layer.bias, same);
      const [rows, columns] = layer.kernel.shape, codes = [];
      for (let at = 0; at < x.codes.length; at += rows) {
        const sums = bias.slice();
        for (let i = 0; i < rows; i++) {
          const value = same(x.codes[at + i]);
          if (value) for (let j = 0, w = i * columns; j < columns; j++, w++) sums[j] += value * kernel[w];
        }
        for (const sum of sums) codes.push(sum);
      }
      return codes;
    },
    Conv(layer, [x], same) {
      const [kernel, bias] = aligned(layer, x, layer.kernel, layer.bias, same), input = Array.from(x.codes, same);
      const [channels, filters] = layer.kernel.shape.slice(-2), codes = new Array(product(layer.shape));
      for (const [place, seen] of windows(layer, x, layer.kernel.shape.slice(0, -2))) {
        const sums = bias.slice();
        for (const [from, tap] of seen)
          for (let c = 0; c < channels; c++) {
            const value = input[from + c];
            if (value) for (let f = 0, w = (tap * channels + c) * filters; f < filters; f++, w++) sums[f] += value * kernel[w];
          }
        sums.forEach((sum, f) => { codes[place * filters + f] = sum; });
      }
      return codes;
    },
    DepthwiseConv(layer, [x], same) {
      const [kernel, bias] = aligned(layer, x, layer.kernel, layer.bias, same);
      const channels = bias.length, codes = new Array(product(layer.shape));
      for (const [place, seen] of windows(layer, x, layer.kernel.shape.slice(0, -1)))
        for (let c = 0; c < channels; c++)
          codes[place * channels + c] = seen.reduce((sum, [from, tap]) => sum + same(x.codes[from + c]) * kernel[tap * channels + c], bias[c]);
      return codes;
    },
    MaxPool(layer, [x]) {
      const channels = x.shape.at(-1), codes = new Array(product(layer.shape));
      for (const [place, seen] of windows(layer, x, layer.window))
        for (let c = 0; c < channels; c++)
          codes[place * channels + c] = seen.map(([from]) => x.codes[from + c]).reduce((a, b) => (b > a ? b : a), x.low);
      return codes;
    },
    AveragePool(layer, [x], same) {                        // two bits more say how the rest lies to a half: all that rounding asks
      const channels = x.shape.at(-1), codes = new Array(product(layer.shape));
      const up = Math.max(layer.type.fraction - x.fraction, 0), lift = power(up, same);
      const cast = caster(layer.type, x.fraction + up + 2, same), zero = same(0);
      for (const [place, seen] of windows(layer, x, layer.window)) {
        const count = same(seen.length);
        for (let c = 0; c < channels; c++) {
          const total = seen.reduce((sum, [from]) => sum + same(x.codes[from + c]), zero) * lift;
          const rest = ((total % count) + count) % count, quotient = (total - rest) / count;
          const beyond = (rest > zero) + (rest + rest >= count) + (rest + rest > count);
          codes[place * channels + c] = cast(quotient * same(4) + same(beyond));
        }
      }
      return codes;
    },
    Activation(layer, [x], same) {
      let code = layer.function === "relu" ? layer.slope : 1, finer = 0;
      for (; !Number.isInteger(code); finer++) code *= 2;  // a slope is exact in few bits
      const slope = same(code), lift = power(finer, same), zero = same(0);
      const cast = caster(layer.type, x.fraction + finer, same);
      return Array.from(x.codes, same).map(value => cast(value < zero ? value * slope : value * lift));
    },
    PRelu(layer, [x], same) {
      const shape = x.shape, given = layer.slopes.shape, fraction = layer.slopes.type.fraction, zero = same(0);
      const slopes = Array.from(layer.slopes.codes, s => same(s) * power(Math.max(-fraction, 0), same));
      const lift = power(Math.max(fraction, 0), same);
      return Array.from(x.codes, same).map((value, at) => {
        if (value >= zero) return value * lift;
        let place = 0, unit = 1;                           // an axis of length 1 is shared
        for (let axis = shape.length - 1, rest = at; axis >= 0; axis--) {
          if (given[axis] > 1) place += (rest % shape[axis]) * unit;
          rest = Math.floor(rest / shape[axis]);
          unit *= given[axis];
        }
        return value * slopes[place];
      });
    },
    Table(layer, [x], same) {
      const cast = caster(layer.index, x.fraction, same), low = bounds(layer.index)[0];
      return Array.from(x.codes, code => layer.table.codes[Number(BigInt(cast(same(code))) - low)]);
    },
    Affine(layer, [x], same) {
      const [scale, bias] = aligned(layer, x, layer.scale, layer.bias, same), channels = bias.length;
      return Array.from(x.codes, (code, at) => same(code) * scale[at % channels] + bias[at % channels]);
    },
    Flatten: (layer, [x]) => x.codes,
    Reshape: (layer, [x]) => x.codes,
    Pad(layer, [x]) {
      const codes = new Array(product(layer.shape)).fill(0), channels = x.shape.at(-1);
      for (const [place, [seen]] of windows({ ...layer, strides: [1, 1].slice(0, layer.padding.length) }, x, [1, 1].slice(0, layer.padding.length)))
        if (seen) for (let c = 0; c < channels; c++) codes[place * channels + c] = x.codes[seen[0] + c];
      return codes;
    },
    Upsample(layer, [x]) {
      const [down, right] = pair(layer.factors, 1), [, width, channels] = plane(x.shape), [, columns] = plane(layer.shape);
      return Array.from({ length: product(layer.shape) }, (_, at) => {
        const place = Math.floor(at / channels), row = Math.floor(place / columns), column = place % columns;
        return x.codes[(Math.floor(row / down) * width + Math.floor(column / right)) * channels + (at % channels)];
      });
    },
    Add(layer, inputs, same) {
      const ups = inputs.map(x => power(layer.fraction - x.fraction, same));
      return Array.from(inputs[0].codes, (_, at) => inputs.reduce((sum, x, n) => sum + same(x.codes[at]) * ups[n], same(0)));
    },
    Multiply: (layer, [x, y], same) => Array.from(x.codes, (code, at) => same(code) * same(y.codes[at])),
    Concatenate(layer, inputs, same) {
      const ups = inputs.map(x => power(layer.fraction - x.fraction, same)), codes = [];
      for (let place = 0; place < product(layer.shape.slice(0, -1)); place++)
        inputs.forEach((x, n) => {
          const channels = x.shape.at(-1);
          for (let c = 0; c < channels; c++) codes.push(same(x.codes[place * channels + c]) * ups[n]);
        });
      return codes;
    },
    ArgMax(layer, [x]) {
      const best = largest(x.codes);
      return Array.from(x.codes, (_, at) => (at === best ? 1 : 0));
    },
  };

  /* --- the network -------------------------------------------------------------------------------------------------- */

  const largest = codes => codes.reduce((best, code, at) => (code > codes[best] ? at : best), 0);   // the first of several

  function unable(net) {                                   // the kinds of layer that cannot be run here
    return [...new Set(net.layers.map(layer => layer.kind))].filter(kind => kind !== "Input" && !kinds[kind]);
  }

  function trace(net, codes) {                             // {layer: tensor} of one image
    const found = {};
    for (const layer of net.layers) {
      const same = layer.big ? whole : number;
      const made = layer.kind === "Input" ? codes.slice() : kinds[layer.kind](layer, layer.sources.map(s => found[s]), same);
      found[layer.name] = { shape: layer.shape, fraction: layer.fraction, low: layer.low, codes: made };
    }
    return found;
  }

  const arrays = {
    u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array, u8: BigUint64Array, i8: BigInt64Array,
  };
  const decoded = packed => new arrays[packed.kind](Uint8Array.from(atob(packed.base64), c => c.charCodeAt(0)).buffer);

  function unpack(net) {                                   // weights travel as base64 of little-endian integers
    for (const layer of net.layers) if (typeof layer.low === "string") layer.low = BigInt(layer.low);
    for (const layer of net.layers)
      for (const field of Object.values(layer))
        if (field && typeof field.base64 === "string") {
          field.codes = decoded(field);
        }
    return net;
  }

  return { trace, unpack, decoded, unable, largest, bounds };
})();
