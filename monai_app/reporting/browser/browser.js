"use strict";
// Slices of a stack, and two layers of a slice, in a page. View draws, scales and moves pictures for both widgets.
(() => {
  const PAGE = 10; // slices
  const NEAR = 2; // slices that are kept decoded on either side
  const ZOOM = 1.5;
  const MOST = 40; // pixels of the screen for one of the picture
  const STEP = 40; // pixels of the screen that a key moves the picture

  const between = (low, value, high) => Math.min(Math.max(value, low), high);
  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const content = (element) => JSON.parse(element.textContent);

  /** The bytes of a plane, row after row, that were compressed by zlib. */
  async function unpack(base64) {
    const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  const decode = (base64) => createImageBitmap(new Blob([bytes(base64)], { type: "image/jpeg" }));

  /** What the values 0..255 look like; a colour is [red, green, blue] and perhaps an opacity, undefined is transparent. */
  function palette(colour) {
    const values = Array.from({ length: 256 }, (_, value) => colour(value) ?? [0, 0, 0, 0]);
    const complete = values.flatMap(([red, green, blue, opacity = 255]) => [red, green, blue, opacity]);
    return new Uint32Array(Uint8Array.from(complete).buffer);
  }

  const UNSURE = palette((value) => [200, 0, 80, 255 - value]);
  const GREYS = palette((value) => [value, value, value]);

  /** A picture of a plane. */
  function paint(plane, { width, height }, colours) {
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let place = 0; place < plane.length; place++) pixels[place] = colours[plane[place]];
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /** A round length of at most so many nm: 1, 2 or 5 times a power of ten. */
  function roundLength(most) {
    const power = 10 ** Math.floor(Math.log10(most));
    return power * ([5, 2].find((digit) => digit * power <= most) ?? 1);
  }

  const lengthText = (nm) => (nm >= 1000 ? `${nm / 1000} µm` : `${+nm.toPrecision(1)} nm`);

  /**
   * Pictures of one slice in a part of the page.
   *
   * shape: rows and columns of the slice, height and width of its pictures, voxel_nm z, y, x.
   * panes: from left to right { from, images }: where each begins, 0..1, and what is drawn there, [picture, opacity] each.
   * scale: pixels of the screen for one of the picture, along its width; null as large as there is room.
   * hover: called with the pixel below the pointer, { place in a plane, row, column of the stack }, or null.
   */
  class View {
    constructor(root, hover) {
      this.root = root;
      this.element = root.querySelector(".slices-view");
      this.canvas = this.element.querySelector("canvas");
      this.bar = this.element.querySelector(".slices-scale");
      this.hover = hover;
      this.pointer = null;
      this.panes = [];
      this.scale = null;
      this.pointers = new Map();
    }

    listen() {
      const buttons = {
        fit: () => this.fit(),
        whole: () => this.zoom(1 / Math.min(1, this.aspect) / this.drawnScale),
        out: () => this.zoom(1 / ZOOM),
        in: () => this.zoom(ZOOM),
      };
      for (const [name, action] of Object.entries(buttons)) {
        this.root.querySelector(`[data-do="${name}"]`).addEventListener("click", action);
      }
      const { element } = this;
      element.addEventListener("pointerdown", (event) => this.pressed(event));
      element.addEventListener("pointermove", (event) => this.moved(event));
      for (const end of ["pointerup", "pointercancel"]) {
        element.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
      }
      element.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse") this.point(null); // what a finger touched last stays
      });
      element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      element.addEventListener("keydown", (event) => this.key(event));
      new ResizeObserver(() => this.draw()).observe(element);
    }

    /** Show other panes, of a slice of another shape or the same. */
    show(shape, panes, text) {
      if (!this.shape) this.listen();
      this.panes = panes;
      if (JSON.stringify(shape) !== JSON.stringify(this.shape)) {
        this.shape = shape;
        this.aspect = (shape.voxel_nm[1] * shape.rows * shape.width) / (shape.voxel_nm[2] * shape.columns * shape.height);
        const ratio = shape.width / (shape.height * this.aspect);
        Object.assign(this.element.style, { aspectRatio: ratio, maxWidth: `${85 * ratio}vh` });
        this.fit();
      }
      this.canvas.setAttribute("aria-label", text);
      this.draw();
    }

    fit() {
      this.scale = null;
      this.centre = [this.shape.width / 2, this.shape.height / 2];
      this.draw();
    }

    /** Zoom by a factor; the point [x, y] of the canvas stays where it is. */
    zoom(factor, [x, y] = [this.canvas.width / 2, this.canvas.height / 2]) {
      const scale = between(Math.min(this.fitting, 1), this.drawnScale * factor, Math.max(this.fitting, MOST));
      const change = 1 / this.drawnScale - 1 / scale;
      this.centre[0] += (x - this.canvas.width / 2) * change;
      this.centre[1] += ((y - this.canvas.height / 2) * change) / this.aspect;
      this.scale = scale === this.fitting ? null : scale;
      this.draw();
    }

    /** Move the picture by pixels of the canvas. */
    pan(x, y) {
      this.centre[0] -= x / this.drawnScale;
      this.centre[1] -= y / this.drawnScale / this.aspect;
      this.draw();
    }

    get fitting() {
      const { width, height } = this.shape;
      return Math.min(this.canvas.width / width, this.canvas.height / (height * this.aspect));
    }

    get drawnScale() {
      return this.scale ?? this.fitting;
    }

    draw() {
      const { canvas, element } = this;
      if (!element.clientWidth) return; // not displayed
      const [wide, high] = [element.clientWidth, element.clientHeight].map((side) => Math.round(side * devicePixelRatio));
      if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
      this.place();
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, wide, high);
      context.imageSmoothingEnabled = this.across < 1 || this.down < 1;
      context.imageSmoothingQuality = "high";
      this.panes.forEach((pane, number) => this.drawPane(context, pane, this.panes[number + 1]?.from ?? 1));
      this.drawBar();
      element.style.touchAction = this.scale === null ? "pan-y" : "none";
      this.point(this.pointer);
    }

    /** Where the picture lies on the canvas: no further away than needed, on whole pixels. */
    place() {
      const { width, height } = this.shape;
      this.across = this.drawnScale;
      this.down = this.across * this.aspect;
      const corner = (axis, size, scale, room) => {
        const half = room / scale / 2;
        this.centre[axis] = half * 2 >= size ? size / 2 : between(half, this.centre[axis], size - half);
        return Math.round(room / 2 - this.centre[axis] * scale);
      };
      this.left = corner(0, width, this.across, this.canvas.width);
      this.top = corner(1, height, this.down, this.canvas.height);
    }

    drawPane(context, { from, images }, to) {
      const [start, end] = [from, to].map((part) => Math.round(part * this.canvas.width));
      context.save();
      context.beginPath();
      context.rect(start, 0, end - start, this.canvas.height);
      context.clip();
      for (const [image, opacity] of images) {
        context.globalAlpha = opacity;
        context.drawImage(image, this.left, this.top, this.shape.width * this.across, this.shape.height * this.down);
      }
      context.restore();
    }

    drawBar() {
      const { columns, width, voxel_nm: voxel } = this.shape;
      const nm = ((voxel[2] * columns) / width / this.across) * this.canvas.width; // what is in view
      const length = roundLength(nm / 4);
      this.bar.style.width = `${(100 * length) / nm}%`; // true, too, where the page is printed
      this.bar.textContent = lengthText(length);
    }

    /** The pixel of the canvas where an event is. */
    at(event) {
      const box = this.element.getBoundingClientRect();
      const ratio = this.canvas.width / box.width;
      return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
    }

    pressed(event) {
      if (event.target.getAttribute("role") === "slider") return;
      this.pointers.set(event.pointerId, this.at(event));
      this.point(this.at(event));
      this.element.setPointerCapture(event.pointerId);
    }

    moved(event) {
      const now = this.at(event);
      this.point(now);
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      this.pointers.set(event.pointerId, now);
      if (other) {
        const apart = (from) => Math.hypot(from[0] - other[0], from[1] - other[1]);
        this.zoom(apart(now) / Math.max(apart(before), 1), other);
      } else if (this.scale !== null) this.pan(now[0] - before[0], now[1] - before[1]);
    }

    /** Say which pixel of the picture lies at a pixel of the canvas, and which one of the stack. */
    point(pointer) {
      this.pointer = pointer;
      if (!pointer) return this.hover(null);
      const [x, y] = pointer;
      const { rows, columns, width, height } = this.shape;
      const [across, down] = [(x - this.left) / this.across, (y - this.top) / this.down].map(Math.floor);
      if (across < 0 || down < 0 || across >= width || down >= height) return this.hover(null);
      const middle = (place, old, all) => Math.floor(((place + 0.5) * all) / old);
      const [row, column] = [middle(down, height, rows), middle(across, width, columns)];
      return this.hover({ place: down * width + across, row, column });
    }

    wheel(event) {
      if (!event.ctrlKey && document.activeElement !== this.element) return; // the page is scrolled
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), this.at(event));
    }

    key(event) {
      const step = STEP * devicePixelRatio;
      const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      const zooms = { "+": ZOOM, "-": 1 / ZOOM, "−": 1 / ZOOM };
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.shiftKey && moves[event.key]) this.pan(...moves[event.key]);
      else if (zooms[event.key]) this.zoom(zooms[event.key]);
      else if (event.key === "0") this.fit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** What the two widgets share: the parts of their HTML. */
  class Widget {
    constructor(root) {
      this.root = root;
      this.about = content(root.querySelector(".slices-about"));
      this.slices = [...root.querySelectorAll(".slices-slice")];
      this.names = new Map(this.about.phases.map((phase) => [phase.value, phase.name]));
      this.line = root.querySelector(".slices-hover");
      this.view = new View(root, (pixel) => this.hover(pixel));
      root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    }

    set(name) {
      return this.root.querySelector(`[data-set="${name}"]`);
    }

    /** Call an action with an element when an event reaches it. */
    on(element, event, action) {
      element.addEventListener(event, () => action(element));
    }

    nameOf(value) {
      return this.names.get(value) ?? "unlabelled";
    }

    say(text) {
      this.line.textContent = text;
    }

    /** Draw what is chosen; say so where the browser cannot. */
    refresh() {
      return this.update().catch((error) => {
        this.say(`This browser cannot show the slice: ${error.message}`);
        throw error;
      });
    }
  }

  class StackBrowser extends Widget {
    constructor(root) {
      super(root);
      this.position = Math.floor(this.slices.length / 2);
      this.detector = 0;
      this.labels = this.set("labels");
      this.cache = new Map();
      this.controls();
      this.refresh();
    }

    controls() {
      const { root } = this;
      this.on(this.set("position"), "input", ({ value }) => this.go(+value));
      this.on(this.set("z"), "change", ({ valueAsNumber }) => this.go(this.nearest(valueAsNumber)));
      this.on(root.querySelector('[data-do="previous"]'), "click", () => this.go(this.position - 1));
      this.on(root.querySelector('[data-do="next"]'), "click", () => this.go(this.position + 1));
      for (const radio of root.querySelectorAll('[name="detector"]')) this.on(radio, "change", () => this.choose(+radio.value));
      for (const input of root.querySelectorAll(".slices-labels input")) {
        this.on(input, "input", () => this.refresh());
      }
      root.addEventListener("keydown", (event) => this.key(event));
    }

    /** The shown slice that is nearest to z. */
    nearest(z) {
      if (!Number.isFinite(z)) return this.position;
      const away = this.about.slices.map((shown) => Math.abs(shown - z));
      return away.indexOf(Math.min(...away));
    }

    go(position) {
      this.position = between(0, position, this.slices.length - 1);
      this.refresh();
    }

    choose(detector) {
      this.detector = detector;
      this.root.querySelectorAll('[name="detector"]')[detector].checked = true;
      this.refresh();
    }

    key(event) {
      const last = this.slices.length - 1;
      const places = {
        ArrowLeft: this.position - 1, ArrowDown: this.position - 1, PageDown: this.position - PAGE, Home: 0,
        ArrowRight: this.position + 1, ArrowUp: this.position + 1, PageUp: this.position + PAGE, End: last,
      };
      const own = event.target.matches("[type=radio], [type=number], [type=range]") && event.target !== this.set("position");
      if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
      if (event.key in places && !own) this.go(places[event.key]);
      else if (event.key === "d") this.choose((this.detector + 1) % this.about.detectors.length);
      else if (event.key === "o" && this.labels) {
        this.labels.checked = !this.labels.checked;
        this.refresh();
      } else return;
      event.preventDefault();
    }

    /** Decode a slice, or find it decoded. */
    load(position) {
      if (!this.cache.has(position)) this.cache.set(position, this.read(content(this.slices[position])));
      return this.cache.get(position);
    }

    async read({ name, ...packed }) {
      const planes = Promise.all([packed.labels, packed.confidence].map((plane) => plane && unpack(plane)));
      const grey = await Promise.all(packed.grey.map(decode));
      const [labels, confidence] = await planes;
      return { name, grey, labels, confidence };
    }

    /** Draw what is chosen; where that changes while slices are decoded, the last choice is drawn at the end. */
    async update() {
      this.stale = true;
      this.tell();
      if (this.busy) return;
      this.busy = true;
      try {
        while (this.stale) {
          this.stale = false;
          const { position } = this;
          this.draw(position, await this.load(position));
        }
      } finally {
        this.busy = false;
      }
      this.keepNear();
    }

    /** Decode the neighbours, forget what is far. */
    keepNear() {
      for (const [position, slice] of this.cache) {
        if (Math.abs(position - this.position) <= NEAR) continue;
        this.cache.delete(position);
        slice.then(({ grey }) => grey.forEach((picture) => picture.close()));
      }
      for (const near of [this.position + 1, this.position - 1]) if (this.slices[near]) this.load(near);
    }

    /** The controls show what is chosen. */
    tell() {
      const z = this.about.slices[this.position];
      Object.assign(this.set("position"), { value: this.position }).setAttribute("aria-valuetext", `slice ${z}`);
      this.set("z").value = z;
    }

    draw(position, slice) {
      this.drawn = { ...slice, z: this.about.slices[position], detector: this.about.detectors[this.detector] };
      const images = [[slice.grey[this.detector], 1], ...this.overlays(slice)];
      const above = images.length > 1 ? `, labels ${this.about.labels}` : "";
      this.view.show(this.shape, [{ from: 0, images }], `slice ${this.drawn.z}, detector ${this.drawn.detector}${above}`);
      this.root.dataset.drawn = this.drawn.z;
    }

    /** Labels, and where they are unsure, as they are chosen. */
    overlays({ labels, confidence }) {
      const images = [];
      if (labels && this.labels.checked) {
        images.push([paint(labels, this.about, this.colours()), this.set("opacity").value / 100]);
      }
      if (confidence && this.set("unsure").checked) images.push([paint(confidence, this.about.confidence, UNSURE), 1]);
      return images;
    }

    get shape() {
      const { rows, columns, height, width, voxel_nm } = this.about;
      return { rows, columns, height, width, voxel_nm };
    }

    /** Colours of the phases that are chosen. */
    colours() {
      const shown = new Map(this.about.phases.map((phase) => [phase.value, phase.rgb]));
      for (const box of this.root.querySelectorAll("[data-phase]:not(:checked)")) shown.delete(+box.dataset.phase);
      return palette((value) => shown.get(value));
    }

    hover(pixel) {
      const { z, name, detector, labels } = this.drawn;
      const where = pixel ? `, row ${pixel.row}, column ${pixel.column}` : "";
      const phase = pixel && labels ? `: ${this.nameOf(labels[pixel.place])}` : "";
      const none = this.about.labels !== null && !labels ? " (not segmented)" : "";
      this.say(`Slice ${z} (${name}), ${detector}${where}${phase}${none}`);
    }
  }

  class Comparison extends Widget {
    constructor(root) {
      super(root);
      this.divider = root.querySelector(".slices-divider");
      this.part = 0.5;
      this.refresh().then(() => this.controls());
    }

    controls() {
      this.on(this.set("slice"), "change", () => this.refresh());
      for (const side of ["left", "right"]) this.on(this.set(side), "change", () => this.choose());
      this.divider.addEventListener("pointerdown", (event) => this.divider.setPointerCapture(event.pointerId));
      this.divider.addEventListener("pointermove", (event) => this.drag(event));
      this.divider.addEventListener("keydown", (event) => this.key(event));
    }

    drag(event) {
      if (this.divider.hasPointerCapture(event.pointerId)) this.divide(this.view.at(event)[0] / this.view.canvas.width);
    }

    key(event) {
      const left = { ArrowLeft: -0.02, ArrowDown: -0.02, PageDown: -0.1, Home: -1 };
      const right = { ArrowRight: 0.02, ArrowUp: 0.02, PageUp: 0.1, End: 1 };
      const steps = { ...left, ...right };
      if (!(event.key in steps) || event.shiftKey) return;
      this.divide(this.part + steps[event.key]);
      event.preventDefault();
    }

    divide(part) {
      this.part = between(0, part, 1);
      this.draw();
    }

    async update() {
      const chosen = +this.set("slice").value;
      const slice = await this.read(content(this.slices[chosen]));
      if (chosen !== +this.set("slice").value) return;
      this.slice = slice;
      this.choose();
      this.root.dataset.drawn = chosen;
    }

    /** Make the pictures of the layers that are chosen. */
    choose() {
      this.pictures = ["left", "right"].map((side) => this.picture(+this.set(side).value));
      this.draw();
    }

    /** The planes of a slice: grey values of the detectors, truth, prediction, and errors: 0 not known, 1 right, 2 wrong. */
    async read(slice) {
      const [truth, prediction, ...grey] = await Promise.all([slice.truth, slice.prediction, ...slice.grey].map(unpack));
      const errors = truth.map((value, place) => (value && prediction[place] ? 1 + (value !== prediction[place]) : 0));
      const { rows, columns, height, width, voxel_nm, windows } = slice;
      return { shape: { rows, columns, height, width, voxel_nm }, windows, grey, truth, prediction, errors };
    }

    picture(number) {
      const { grey, truth, prediction, errors, shape } = this.slice;
      const rgb = new Map(this.about.phases.map((phase) => [phase.value, phase.rgb]));
      const phases = palette((value) => rgb.get(value) ?? [255, 255, 255]);
      const found = palette((value) => [[255, 255, 255], this.about.right_rgb, this.about.error_rgb][value]);
      const layers = [...grey.map((plane) => [plane, GREYS]), [truth, phases], [prediction, phases], [errors, found]];
      return paint(layers[number][0], shape, layers[number][1]);
    }

    draw() {
      const panes = this.pictures.map((picture, side) => ({ from: side * this.part, images: [[picture, 1]] }));
      this.view.show(this.slice.shape, panes, `left ${this.chosen("left")}, right ${this.chosen("right")}`);
      this.divider.style.left = `${this.part * 100}%`;
      this.divider.setAttribute("aria-valuenow", Math.round(this.part * 100));
    }

    chosen(side) {
      return this.set(side).selectedOptions[0].text;
    }

    hover(pixel) {
      const sides = `Left ${this.chosen("left")}, right ${this.chosen("right")}`;
      this.say(pixel ? this.describe(pixel) : sides);
    }

    describe({ row, column, place }) {
      const { truth, prediction, errors, grey, windows } = this.slice;
      const verdict = errors[place] === 2 ? " (wrong)" : "";
      const predicted = prediction[place] ? this.nameOf(prediction[place]) : "none";
      const greys = this.about.detectors.map((name, number) => `${name} ${this.value(grey[number][place], windows[number])}`);
      const found = `truth ${this.nameOf(truth[place])}, prediction ${predicted}${verdict}`;
      return `Row ${row}, column ${column}: ${found}; ${greys.join(", ")}`;
    }

    /** A grey value of the stack; whether it is beyond what is shown as black and white, or rounded. */
    value(shown, [low, high]) {
      const { rows, columns, height, width } = this.slice.shape;
      const exact = high - low <= 255 && rows === height && columns === width;
      const sign = { 0: "≤ ", 255: "≥ " }[shown] ?? (exact ? "" : "~ ");
      return sign + Math.round(low + (shown / 255) * (high - low));
    }
  }

  function start() {
    for (const root of document.querySelectorAll(".slices-stack")) new StackBrowser(root);
    for (const root of document.querySelectorAll(".slices-compare")) new Comparison(root);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
