"use strict";
/* What moves on the page: theme, tables that sort, weights as pictures, and the playground. Needs exact.js before it. */

(() => {
  const at = id => document.getElementById(id);
  const make = (tag, properties = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    return made;
  };
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const product = sizes => sizes.reduce((a, b) => a * b, 1);

  /* --- theme and tables ----------------------------------------------------------------------------------------------- */

  at("theme").addEventListener("click", () => {
    const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    redraw();
  });

  const numeric = text => (/^[~-]?[\d.,]+/.test(text) ? parseFloat(text.replace(/[~,]/g, "")) : NaN);

  for (const head of document.querySelectorAll("thead th")) {
    const name = head.textContent;
    head.replaceChildren(make("button", { type: "button", textContent: name, title: `sort by ${name}`, onclick: () => sortBy(head) }));
  }

  function sortBy(head) {
    const rising = head.getAttribute("aria-sort") !== "ascending", body = head.closest("table").tBodies[0];
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const key = row => row.cells[head.cellIndex].textContent.trim();
    const order = (a, b) => {
      const [x, y] = [numeric(key(a)), numeric(key(b))];
      if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
      const less = Number.isNaN(x) ? key(a).localeCompare(key(b)) : x - y;
      return rising ? less : -less;
    };
    body.append(...[...body.rows].sort(order));
  }

  /* --- pictures of integers ------------------------------------------------------------------------------------------- */

  const rgb = text => [1, 3, 5].map(n => parseInt(text.slice(n, n + 2), 16));

  function paint(canvas, tiles, rows, columns, changed) {      // tiles: arrays of rows * columns values
    const least = columns > 64 ? 1 : 2, across = Math.max(1, Math.min(tiles.length, Math.floor(720 / (least * (columns + 1)))));
    const down = Math.ceil(tiles.length / across), size = Math.max(1, Math.min(8, Math.floor(720 / (across * (columns + 1)))));
    canvas.width = across * (columns + 1) - 1;
    canvas.height = down * (rows + 1) - 1;
    canvas.style.width = `${canvas.width * size}px`;
    const context = canvas.getContext("2d"), picture = context.createImageData(canvas.width, canvas.height);
    const [paper, line, above, below, mark] = ["--paper", "--line", "--blue", "--orange", "--bad"].map(name => rgb(colour(name)));
    for (let n = 0; n < picture.data.length; n += 4) picture.data.set([...line, 255], n);
    let most = 1e-300;
    for (const tile of tiles) for (const value of tile) most = Math.max(most, Math.abs(Number(value)));
    tiles.forEach((tile, n) => {
      const left = (n % across) * (columns + 1), top = Math.floor(n / across) * (rows + 1);
      for (let place = 0; place < rows * columns; place++) {
        const value = Number(tile[place]) / most, strong = value > 0 ? above : below, much = Math.abs(value) ** 0.6;
        const own = changed?.[n][place] && tile.length > 400 ? mark : paper.map((p, c) => Math.round(p + (strong[c] - p) * much));
        picture.data.set([...own, 255], ((top + Math.floor(place / columns)) * canvas.width + left + (place % columns)) * 4);
      }
    });
    context.putImageData(picture, 0, 0);
  }

  function tilesOf(shape, codes) {                             // one tile a channel; one axis becomes a strip
    if (shape.length === 1) {
      const [height, width, depth] = net.layers[0].shape;      // a flattened image is shown as what it was
      if (depth === 1 && shape[0] === height * width) return [[Array.from(codes)], height, width];
      const columns = Math.min(shape[0], 64), rows = Math.ceil(shape[0] / columns);
      return [[Object.assign(new Array(rows * columns).fill(0), Array.from(codes))], rows, columns];
    }
    const [rows, columns] = shape.length === 2 ? [1, shape[0]] : shape, channels = shape.at(-1);
    const tiles = Array.from({ length: channels }, (_, c) => Array.from({ length: rows * columns }, (_, n) => codes[n * channels + c]));
    return [tiles, rows, columns];
  }

  function weightTiles(layer, net) {                           // of what is multiplied: an image an output, or a matrix
    const kernel = layer.kernel, [columns] = kernel.shape.slice(-1);
    const column = (c, length) => Array.from({ length }, (_, n) => kernel.codes[n * columns + c]);
    if (layer.kind === "Dense") {
      const length = kernel.shape[0], image = net.layers[0].shape;
      const first = net.layers.find(one => one.kind === "Dense") === layer;
      if (first && image.length === 3 && image[2] === 1 && product(image) === length)
        return [Array.from({ length: columns }, (_, c) => column(c, length)), image[0], image[1]];
      return [[Array.from(kernel.codes)], length, columns];
    }
    const window = kernel.shape.slice(0, layer.kind === "Conv" ? -2 : -1), taps = product(window), many = product(kernel.shape) / taps;
    const tiles = Array.from({ length: Math.min(many, 512) }, (_, c) => Array.from({ length: taps }, (_, n) => kernel.codes[n * many + c]));
    return [tiles, window.length === 2 ? window[0] : 1, window.at(-1)];
  }

  /* --- the playground ------------------------------------------------------------------------------------------------- */

  const data = JSON.parse(at("data").textContent);
  let redraw = () => {};
  if (!data.network) return;
  const net = data.network.runs ? exact.unpack(data.network) : data.network;

  const showWeights = () => {
    for (const canvas of document.querySelectorAll("details[open] canvas.weights")) {
      const layer = net.layers.find(one => one.name === canvas.dataset.layer);
      if (layer.kernel?.codes) paint(canvas, ...weightTiles(layer, net));
    }
  };
  for (const one of document.querySelectorAll("details")) one.addEventListener("toggle", showWeights);
  redraw = showWeights;

  const unable = exact.unable(net);
  if (!net.runs || unable.length) {
    at("can-run").textContent = net.runs
      ? `This network cannot run in the page: it has no code for ${unable.join(", ")} yet. The C simulation and the emulator have.`
      : "This network cannot run in the page: its weights are too many to be in it.";
    return;
  }
  at("play").hidden = false;

  const [first] = net.layers, [low, high] = exact.bounds(first.type).map(Number);
  const clip = code => Math.min(high, Math.max(low, Math.round(code)));
  const samples = exact.decoded(data.samples.codes), size = product(first.shape);
  const sample = n => Array.from(samples.slice(n * size, (n + 1) * size), Number);
  const channels = first.shape.length === 3 ? first.shape[2] : 0, drawable = Boolean(data.pixels) && (channels === 1 || channels === 3);
  const [height, width] = first.shape;
  let codes, base, chosen = 0, cursor = 0;

  function run() {
    const begun = performance.now(), found = exact.trace(net, codes), took = performance.now() - begun;
    window.trace = found;
    const logits = found[data.logits].codes, best = exact.largest(logits), unit = 2 ** -found[data.logits].fraction;
    const told = chosen === null ? "" : ` Test ${data.noun} ${chosen + 1}: its label is ${data.classes[data.samples.labels[chosen]]}`
      + (data.samples.float ? `; the float network said ${data.classes[data.samples.float[chosen]]}.` : ".");
    at("found").textContent = `Class ${data.classes[best]}, in ${took.toFixed(1)} ms.${told}`;
    const most = Math.max(...Array.from(logits, l => Math.abs(Number(l)))) || 1;
    at("bars").replaceChildren(...Array.from(logits).flatMap((logit, n) => {
      const bar = make("span", { className: n === best ? "bar best" : "bar" });
      bar.style.width = `${(100 * Math.max(0, Number(logit))) / most}%`;
      return [make("span", { textContent: data.classes[n] }), make("span", {}, bar), make("span", { textContent: (Number(logit) * unit).toPrecision(4) })];
    }));
    show(found);
  }

  function show(found) {
    base ??= found;
    const parts = [];
    for (const layer of net.layers) {
      const { shape, codes: own } = found[layer.name], before = base[layer.name].codes;
      const differs = Array.from(own, (code, n) => (code === before[n] ? 0 : 1)), count = differs.reduce((a, b) => a + b, 0);
      const canvas = make("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `codes of layer ${layer.name}`);
      paint(canvas, ...tilesOf(shape, own));
      const values = Array.from(own, Number), range = `${values.reduce((a, b) => Math.min(a, b))} to ${values.reduce((a, b) => Math.max(a, b))}`;
      const text = `${layer.words}; codes ${range}${count ? `; ${count} of ${own.length} changed` : ""}`;
      parts.push(make("div", {}, make("div", {}, make("b", { textContent: layer.name }), ` ${text}`), canvas));
    }
    at("tensors").replaceChildren(...parts);
    const changed = codes.filter((code, n) => code !== base[first.name].codes[n]).length;
    at("changed").textContent = changed ? `${changed} input value${changed > 1 ? "s" : ""} changed since it was chosen.` : "";
  }

  function choose(n) {
    chosen = n;
    codes = sample(n);
    base = undefined;
    shown();
    run();
  }

  const picker = make("select", { id: "sample", onchange: () => choose(Number(picker.value)) });
  data.samples.labels.forEach((label, n) => picker.append(make("option", { value: n, textContent: `${n + 1}: ${data.classes[label]}` })));
  const label = make("label", {}, `Test ${data.noun} `, picker);
  let shown = () => {};

  if (drawable) {
    const pad = make("canvas", { className: "pad", width: 280, height: 280, tabIndex: 0, id: "pad" });
    pad.setAttribute("role", "application");
    pad.setAttribute("aria-label", `input image, ${height} by ${width} pixels: draw on it, or move with the arrow keys and change a pixel with the space bar`);
    const draw = make("input", { type: "radio", name: "pen", checked: true, id: "draw" }), pixel = make("input", { type: "radio", name: "pen", id: "pixel" });
    const centre = make("input", { type: "checkbox", checked: data.centre, id: "centre" });
    const file = make("input", { type: "file", accept: "image/*", id: "file" });
    const clear = make("button", { type: "button", id: "clear", textContent: "clear", onclick: () => { wipe(); taken(); } });
    const ink = make("canvas", { width: 280, height: 280 }), pen = ink.getContext("2d", { willReadFrequently: true });
    const wipe = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, 280, 280); };
    wipe();

    shown = () => {                                            // the codes as they are, one square a pixel
      const context = pad.getContext("2d"), picture = context.createImageData(width, height);
      for (let n = 0; n < height * width; n++) {
        const grey = c => Math.round((255 * (codes[n * channels + c] - low)) / (high - low));
        picture.data.set([grey(0), grey(channels > 1 ? 1 : 0), grey(channels - 1), 255], n * 4);
      }
      const small = make("canvas", { width, height });
      small.getContext("2d").putImageData(picture, 0, 0);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, 280, 280);
      if (document.activeElement === pad && pixel.checked) {
        context.strokeStyle = "#ff3b30";
        context.lineWidth = 2;
        context.strokeRect(((cursor % width) * 280) / width, (Math.floor(cursor / width) * 280) / height, 280 / width, 280 / height);
      }
    };

    const taken = () => {                                      // what was drawn becomes codes, as the run's own pixels do
      chosen = null;
      codes = fromPixels(centre.checked ? centred(ink, height, width) : scaled(ink, height, width));
      shown();
      run();
    };
    const fromPixels = grey => grey.flatMap(values => values.map(value => data.pixels[value]));

    function scaled(source, rows, columns, x = 0, y = 0, w = source.width, h = source.height) {
      const small = make("canvas", { width: columns, height: rows }), context = small.getContext("2d", { willReadFrequently: true });
      context.drawImage(source, x, y, w, h, 0, 0, columns, rows);
      const found = context.getImageData(0, 0, columns, rows).data;
      return Array.from({ length: rows * columns }, (_, n) => Array.from({ length: channels }, (_, c) => found[4 * n + c]));
    }

    function centred(source, rows, columns) {                  // as MNIST was made: into a box of 20 in 28, then by centre of mass
      const whole = pen.getImageData(0, 0, 280, 280).data;
      let [left, top, right, bottom] = [280, 280, -1, -1];
      for (let y = 0; y < 280; y++)
        for (let x = 0; x < 280; x++)
          if (whole[4 * (280 * y + x)] > 30) [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
      const blank = Array.from({ length: rows * columns }, () => new Array(channels).fill(0));
      if (right < 0) return blank;
      const w = right - left + 1, h = bottom - top + 1, share = ((20 / 28) * Math.min(rows, columns)) / Math.max(w, h);
      const wide = Math.max(1, Math.round(w * share)), high = Math.max(1, Math.round(h * share)), box = scaled(source, high, wide, left, top, w, h);
      let [mass, sumX, sumY] = [0, 0, 0];
      box.forEach(([value], n) => { mass += value; sumX += value * (n % wide); sumY += value * Math.floor(n / wide); });
      const shiftX = Math.round((columns - 1) / 2 - sumX / (mass || 1)), shiftY = Math.round((rows - 1) / 2 - sumY / (mass || 1));
      box.forEach((values, n) => {
        const x = (n % wide) + shiftX, y = Math.floor(n / wide) + shiftY;
        if (x >= 0 && x < columns && y >= 0 && y < rows) blank[y * columns + x] = values;
      });
      return blank;
    }

    const place = event => {
      const box = pad.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * 280, ((event.clientY - box.top) / box.height) * 280];
    };
    const toggle = n => {
      for (let c = 0; c < channels; c++) codes[n * channels + c] = codes[n * channels + c] > (low + high) / 2 ? low : high;
      shown();
      run();
    };
    let last = null;
    pad.addEventListener("pointerdown", event => {
      const [x, y] = place(event);
      if (pixel.checked) {
        cursor = Math.floor((y * height) / 280) * width + Math.floor((x * width) / 280);
        toggle(cursor);
        return;
      }
      if (chosen !== null) wipe();
      pad.setPointerCapture(event.pointerId);
      last = [x, y];
      stroke(x, y);
    });
    pad.addEventListener("pointermove", event => { if (last) stroke(...place(event)); });
    for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { last = null; });
    function stroke(x, y) {
      Object.assign(pen, { strokeStyle: "#fff", lineWidth: 22, lineCap: "round" });
      pen.beginPath();
      pen.moveTo(...last);
      pen.lineTo(x + 0.01, y);
      pen.stroke();
      last = [x, y];
      base = undefined;
      taken();
    }
    pad.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[event.key];
      if (step === undefined && event.key !== " ") return;
      event.preventDefault();
      pixel.checked = true;
      if (event.key === " ") toggle(cursor);
      else { cursor = (cursor + step + height * width) % (height * width); shown(); }
    });

    const told = make("p", { className: "soft", id: "told" });
    const take = async blob => {
      let picture;
      try { picture = await createImageBitmap(blob); } catch { told.textContent = "This file is no image that a browser reads."; return; }
      told.textContent = picture.width === width && picture.height === height ? "" : `An image of ${picture.width} x ${picture.height}: scaled to ${width} x ${height}.`;
      pen.drawImage(picture, 0, 0, 280, 280);
      if (channels === 1) grey();
      base = undefined;
      taken();
    };
    const grey = () => {                                       // light on dark, as the images are
      const picture = pen.getImageData(0, 0, 280, 280), { data: values } = picture;
      let sum = 0;
      for (let n = 0; n < values.length; n += 4) sum += values[n] = Math.round(0.299 * values[n] + 0.587 * values[n + 1] + 0.114 * values[n + 2]);
      if (sum > 127.5 * 280 * 280) for (let n = 0; n < values.length; n += 4) values[n] = 255 - values[n];
      for (let n = 0; n < values.length; n += 4) values[n + 1] = values[n + 2] = values[n];
      pen.putImageData(picture, 0, 0);
    };
    file.addEventListener("change", () => file.files[0] && take(file.files[0]));
    pad.addEventListener("dragover", event => event.preventDefault());
    pad.addEventListener("drop", event => { event.preventDefault(); if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); });

    const row = (...inside) => make("div", { className: "controls" }, ...inside);
    at("given").append(
      row(label), pad, row(make("label", {}, draw, " draw"), make("label", {}, pixel, " change pixels"), clear),
      row(make("label", {}, centre, " centre by mass")), row(make("label", {}, "Image file ", file)), told,
      make("p", { className: "soft", textContent: data.preparation }),
    );
  } else {
    const fields = make("div", { className: "fields" });
    shown = () => fields.replaceChildren(...codes.slice(0, 256).flatMap((code, n) => {
      const field = make("input", { type: "number", value: code * 2 ** -first.fraction, step: 2 ** -first.fraction, id: `value${n}` });
      field.addEventListener("change", () => { codes[n] = clip(Number(field.value) * 2 ** first.fraction); field.value = codes[n] * 2 ** -first.fraction; run(); });
      return [make("label", { htmlFor: field.id, textContent: data.features[n] ?? `value ${n}` }), field];
    }));
    at("given").append(make("div", { className: "controls" }, label), fields, make("p", { className: "soft", textContent: data.preparation }));
  }
  redraw = () => { showWeights(); run(); };
  choose(0);
})();
