// The step slider: both passes in order of execution.

import { clamp, glyph, html } from "./dom.js";

const LONGEST = 24_000; // ms for both passes
const STEP = 480; // ms for a step, where there are few

export class Playback {
  constructor(root, graph, changed) {
    this.graph = graph;
    this.changed = changed;
    this.step = 0; // 0 stands for the whole, without playing
    this.last = graph.forward.length + graph.backward.length;
    this.timer = null;
    const button = (label, path, onclick) =>
      html("button", { type: "button", "aria-label": label, title: label, onclick }, glyph(path));
    this.button = button("Play", PLAY, () => this.toggle());
    this.slider = html("input", {
      type: "range",
      min: 0,
      max: this.last,
      value: 0,
      "aria-label": "Step of the forward and the backward pass",
      oninput: () => {
        this.pause();
        this.go(Number(this.slider.value));
      },
    });
    const turn = this.last ? (100 * graph.forward.length) / this.last : 50;
    this.slider.style.setProperty("--turn", `${turn}%`);
    this.text = html("output", { class: "step" });
    root.append(
      button("Step back", BACK, () => this.by(-1)),
      this.button,
      button("Step on", NEXT, () => this.by(1)),
      html("div", { class: "track" }, this.slider),
      this.text,
    );
    this.say();
  }

  get pass() {
    if (!this.step) return null;
    return this.step <= this.graph.forward.length ? "forward" : "backward";
  }

  // The node that is computed now.
  get node() {
    const { forward, backward } = this.graph;
    if (!this.step) return null;
    return this.pass === "forward" ? forward[this.step - 1] : backward[this.step - 1 - forward.length];
  }

  go(step) {
    this.step = clamp(step, 0, this.last);
    this.slider.value = this.step;
    this.slider.style.setProperty("--done", `${this.last ? (100 * this.step) / this.last : 0}%`);
    this.say();
    this.changed();
  }

  by(count) {
    this.pause();
    this.go(this.step + count);
  }

  say() {
    const { forward, backward } = this.graph;
    if (!this.step) {
      this.text.replaceChildren(
        html("span", { class: "pass" }, `${number(forward.length)} steps forward, ${number(backward.length)} back`),
      );
      this.slider.setAttribute("aria-valuetext", "not playing");
      return;
    }
    const { pass, node } = this;
    const [at, of] = pass === "forward"
      ? [this.step, forward.length]
      : [this.step - forward.length, backward.length];
    this.text.replaceChildren(
      html("span", { class: `pass ${pass}` }, `${pass} ${number(at)} / ${number(of)}`),
      html("span", { class: "what" }, node.name),
      html("span", { class: "where" }, node.path),
    );
    this.slider.setAttribute("aria-valuetext", `${pass} step ${at} of ${of}: ${node.name} ${node.path}`);
  }

  toggle() {
    if (this.timer) return this.pause();
    if (this.step === this.last) this.step = 0;
    const wait = clamp(LONGEST / (this.last || 1), 30, STEP);
    const stride = Math.ceil((30 * this.last) / LONGEST);
    const tick = () => {
      this.go(this.step + stride);
      if (this.step === this.last) this.pause();
    };
    this.timer = setInterval(tick, wait);
    this.dress("Pause", PAUSE);
    tick();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.dress("Play", PLAY);
  }

  dress(label, path) {
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.button.replaceChildren(glyph(path));
  }

  stop() {
    this.pause();
    if (this.step) this.go(0);
  }

  // How a visible box stands: "now", "later", "done", "returned" or "".
  standingOf(box) {
    if (!this.step) return "";
    const turn = this.graph.forward.length;
    const inRange = (range, step) => range && range[0] <= step && step <= range[1];
    if (this.step <= turn) {
      if (!box.computed) return "later";
      if (inRange(box.computed, this.step) && this.graph.shown(this.node) === box) return "now";
      return box.computed[0] > this.step ? "later" : "done";
    }
    const step = this.step - turn;
    if (this.graph.shown(this.node) === box) return "now";
    const { returned } = box;
    // A gradient is there once all have added to it; so is that of a leaf.
    if (!box.computed) return !returned || returned[1] > step ? "later" : "returned";
    return returned && returned[1] <= step ? "returned" : "done";
  }

  // Whether something flows along a visible arrow now.
  flows(edge) {
    const { node, pass } = this;
    if (!node) return false;
    const now = this.graph.shown(node);
    if (pass === "forward") return edge.target === now && edge.kind !== "gradient" && edge.kind !== "saved";
    if (node.kind === "rule") return edge.kind === "gradient" && edge.source === now;
    return edge.target === now && edge.differentiable;
  }
}

function number(count) {
  return count.toLocaleString("en");
}

const PLAY = "M5 3.2v9.6a.6.6 0 0 0 .9.5l8-4.8a.6.6 0 0 0 0-1l-8-4.8a.6.6 0 0 0-.9.5z";
const PAUSE = "M4.5 3h2.6v10H4.5zM8.9 3h2.6v10H8.9z";
const BACK = "M4 3h1.8v10H4zM13 3.2v9.6L6.6 8z";
const NEXT = "M10.2 3H12v10h-1.8zM3 3.2v9.6L9.4 8z";
