// Pan, zoom and fit: by wheel, drag, pinch and keys.

import { calm, clamp } from "./dom.js";

const SMALLEST = 0.02;
const LARGEST = 4;

export class Viewport {
  constructor(canvas, world, embedded) {
    this.canvas = canvas;
    this.world = world;
    this.embedded = embedded; // the page around it scrolls: a plain wheel is not for us
    [this.x, this.y, this.k] = [0, 0, 1];
    this.size = { w: 1, h: 1 };
    this.window = { w: 1, h: 1 };
    this.changed = () => {};
    new ResizeObserver(([{ contentRect }]) => {
      this.window = { w: contentRect.width, h: contentRect.height };
      this.apply();
    }).observe(canvas);
    this.pointers = new Map();
    this.moved = false; // whether the last press was a drag
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
  }

  apply() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.world.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.k})`);
      // Text that nobody can read costs time.
      const far = this.k < 0.16 ? "tiny" : this.k < 0.38 ? "far" : "near";
      if (this.canvas.dataset.distance !== far) this.canvas.dataset.distance = far;
      this.changed();
    });
  }

  set(x, y, k) {
    [this.x, this.y, this.k] = [x, y, clamp(k, SMALLEST, LARGEST)];
    this.apply();
  }

  glide(x, y, k) {
    k = clamp(k, SMALLEST, LARGEST);
    cancelAnimationFrame(this.gliding);
    if (calm()) return this.set(x, y, k);
    const from = [this.x, this.y, this.k];
    const begin = performance.now();
    const step = (now) => {
      const t = clamp((now - begin) / 260, 0, 1);
      const e = 1 - (1 - t) ** 3;
      this.set(...[x, y, k].map((to, i) => from[i] + (to - from[i]) * e));
      if (t < 1) this.gliding = requestAnimationFrame(step);
    };
    this.gliding = requestAnimationFrame(step);
  }

  // The part of the drawing that is in sight. Asks the browser nothing: that would cost a layout.
  get sight() {
    const { x, y, k, window } = this;
    return [-x / k, -y / k, window.w / k, window.h / k];
  }

  get box() {
    return this.canvas.getBoundingClientRect();
  }

  // The transform that shows everything.
  whole() {
    const { width, height } = this.box;
    const margin = 28;
    const k = Math.min((width - 2 * margin) / this.size.w, (height - 2 * margin) / this.size.h, 1.25);
    const scale = clamp(k, SMALLEST, LARGEST);
    return [(width - this.size.w * scale) / 2, (height - this.size.h * scale) / 2, scale];
  }

  fit() {
    this.glide(...this.whole());
  }

  // What is seen first: everything if it can be read, else the beginning.
  home() {
    const [x, y, k] = this.whole();
    const readable = clamp((this.box.width - 40) / this.size.w, 0.55, 1);
    if (k >= readable) return this.set(x, y, k);
    this.set((this.box.width - this.size.w * readable) / 2, 28, readable);
  }

  zoom(factor, cx = this.box.width / 2, cy = this.box.height / 2, glide = false) {
    const k = clamp(this.k * factor, SMALLEST, LARGEST);
    const to = [cx - ((cx - this.x) * k) / this.k, cy - ((cy - this.y) * k) / this.k, k];
    if (glide) this.glide(...to);
    else this.set(...to);
  }

  // Brings a place into the middle if it is not well in sight already.
  bring({ x, y, w, h }, always = false) {
    const { width, height } = this.box;
    const k = Math.max(this.k, 0.5);
    const [left, top] = [x * this.k + this.x, y * this.k + this.y];
    const inside = left > 8 && top > 8 &&
      left + w * this.k < width - 8 && top + h * this.k < height - 8;
    if (inside && !always && this.k >= 0.38) return;
    this.glide(width / 2 - (x + w / 2) * k, height / 2 - (y + Math.min(h, height / k) / 2) * k, k);
  }

  wheel(event) {
    if (this.embedded && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { left, top } = this.box;
    const lines = event.deltaMode === 1 ? 16 : 1;
    // A pinch on a touchpad comes as small steps with the control key.
    const speed = event.ctrlKey ? 0.01 : 0.0018;
    const factor = Math.exp(-clamp(event.deltaY * lines, -240, 240) * speed);
    cancelAnimationFrame(this.gliding);
    this.zoom(factor, event.clientX - left, event.clientY - top);
  }

  press(event) {
    if (event.button !== 0) return;
    cancelAnimationFrame(this.gliding);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 1) this.moved = false;
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (event.pointerType === "mouse" && !event.buttons) return this.pointers.clear();
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    if (!this.moved && Math.hypot(dx, dy) < 4) return;
    if (!this.moved) this.canvas.setPointerCapture(event.pointerId);
    this.moved = true;
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (!others.length) return this.set(this.x + dx, this.y + dy, this.k);
    const [ox, oy] = others[0][1];
    const { left, top } = this.box;
    const was = Math.hypot(before[0] - ox, before[1] - oy);
    const is = Math.hypot(event.clientX - ox, event.clientY - oy);
    this.set(this.x + dx / 2, this.y + dy / 2, this.k);
    this.zoom(is / (was || 1), (event.clientX + ox) / 2 - left, (event.clientY + oy) / 2 - top);
  }
}
