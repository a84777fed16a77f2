// Puts the page together: builds its parts inside the section and lets them know of each other.

import { Details } from "./details.js";
import { glyph, html, svg } from "./dom.js";
import { Drawing, measurer } from "./drawing.js";
import { PageGraph } from "./graph.js";
import { listen, neighbour } from "./keyboard.js";
import { layOut } from "./layout.js";
import { Playback } from "./playback.js";
import { Search } from "./search.js";
import { Viewport } from "./viewport.js";

const MOST_OPEN = 2000; // boxes that "open all" shows at once
const STILL = 400; // boxes; with more, nothing glides

export function start(section) {
  new Page(section).begin();
}

class Page {
  constructor(section) {
    this.section = section;
    this.embedded = section.classList.contains("embedded");
    const data = JSON.parse(section.querySelector("[data-part=data]").textContent);
    this.graph = new PageGraph(data);
    this.selected = null;
    this.hovered = null;
    this.current = null; // the box that Tab comes to
    this.hits = new Set();
    this.layouts = new Map(); // of modules, by what they depend on
    this.build(data);
    this.listen();
  }

  build(data) {
    const id = this.section.id;
    this.world = svg("g", { class: "world" });
    this.canvas = svg(
      "svg",
      {
        class: "canvas",
        role: "application",
        tabindex: 0,
        "aria-label": `Compute graph of ${data.title}`,
        "aria-roledescription": "graph",
        "aria-describedby": `${id}-help`,
      },
      this.world,
    );
    this.panel = html("aside", { class: "panel", id: `${id}-panel`, "aria-label": "Details", tabindex: -1 });
    const search = html("div", { class: "search", role: "search" });
    const player = html("div", { class: "player", role: "group", "aria-label": "Playback" });
    this.note = html("p", { class: "note", role: "status" });
    this.section.append(
      html(
        "header",
        { class: "bar" },
        html("h1", {}, data.title),
        html("p", { class: "subtitle" }, data.facts.slice(0, 3).join(" · ")),
        search,
        html("div", { class: "tools" }, ...this.tools()),
      ),
      html("div", { class: "stage" }, this.canvas, this.zoomTools(), this.note),
      this.panel,
      player,
      html(
        "p",
        { id: `${id}-help`, class: "unseen" },
        "Arrow keys move between boxes, Enter opens a module or shows details, slash searches.",
      ),
    );
    const family = getComputedStyle(this.section).fontFamily;
    this.measure = measurer(family);
    this.drawing = new Drawing(this.world);
    this.viewport = new Viewport(this.canvas, this.world, this.embedded);
    this.details = new Details(this.panel, this.graph, (box) => this.visit(box), () => this.select(null));
    this.playback = new Playback(player, this.graph, () => this.played());
    this.search = new Search(search, id, this.graph, {
      choose: (box) => this.visit(box),
      mark: (hits) => {
        this.hits = hits;
        this.dress();
      },
    });
  }

  tools() {
    const tool = (label, path, onclick, part) =>
      html("button", { type: "button", title: label, "aria-label": label, onclick, "data-part": part }, glyph(path));
    const tools = [
      tool("Open all modules", "M3 6l5-4 5 4-1 1.2L8 4 4 7.2zM3 10l5 4 5-4-1-1.2L8 12 4 8.8z", () => this.openAll(true), "open"),
      tool("Close all modules", "M3 3l5 4 5-4-1-1.2L8 5 4 1.8zM3 13l5-4 5 4-1 1.2L8 11l-4 3.2z", () => this.openAll(false), "close"),
      tool("Overview", "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zm-.8 3h1.6v1.6H7.2zm0 2.8h1.6v4.2H7.2z", () => this.overview(), "overview"),
    ];
    if (!this.embedded) {
      tools.push(tool("Light or dark", "M8 1.5a6.5 6.5 0 1 0 0 13zm0 0a6.5 6.5 0 0 1 0 13v-1.4a5.1 5.1 0 0 0 0-10.2z", () => this.toggleTheme(), "theme"));
    }
    return this.graph.modules.length ? tools : tools.slice(2);
  }

  zoomTools() {
    const tool = (label, text, onclick) =>
      html("button", { type: "button", title: label, "aria-label": label, onclick }, text);
    return html(
      "div",
      { class: "zoom", role: "group", "aria-label": "Zoom" },
      tool("Zoom in", "+", () => this.viewport.zoom(1.35, undefined, undefined, true)),
      tool("Zoom out", "−", () => this.viewport.zoom(1 / 1.35, undefined, undefined, true)),
      tool("Fit", "Fit", () => this.viewport.fit()),
    );
  }

  async begin() {
    this.restoreTheme();
    this.details.show(null);
    await this.lay();
    this.viewport.home();
    this.say(this.opening());
    this.section.dataset.ready = "true";
  }

  // What the page begins with, where that is not everything.
  opening() {
    const groups = this.graph.modules.filter((module) => module.group).length;
    const closed = this.graph.modules.filter((module) => !module.open).length;
    if (groups) return `${this.graph.forward.length.toLocaleString("en")} operations, in groups: open one with a click`;
    return closed ? "Open a module with a click" : "";
  }

  say(text) {
    this.note.textContent = text;
    clearTimeout(this.saying);
    if (text) this.saying = setTimeout(() => (this.note.textContent = ""), 6000);
  }

  // ------------------------------------------------------------------------------- the drawing

  // Lays everything out anew and draws it; the box `anchor` keeps its place on the screen.
  async lay(anchor = null) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const before = anchor && this.placeOf(anchor);
    let rested = performance.now();
    const pause = async () => {
      if (performance.now() - rested < 60) return;
      this.note.textContent = "Arranging…";
      await new Promise((done) => setTimeout(done));
      rested = performance.now();
    };
    const layout = await layOut(this.graph, this.measure, this.layouts, pause);
    if (turn !== this.turn) return; // overtaken by a newer one
    if (this.note.textContent === "Arranging…") this.say("");
    const few = layout.boxes.size <= STILL;
    this.canvas.classList.toggle("gliding", few && this.section.dataset.ready === "true");
    const focused = this.world.contains(document.activeElement) && document.activeElement.dataset.key;
    this.drawing.show(layout);
    this.viewport.size = { w: layout.w, h: layout.h };
    const after = anchor && this.placeOf(anchor);
    if (before && after) {
      const { x, y, k } = this.viewport;
      const shift = (before.x + before.w / 2 - after.x - after.w / 2) * k;
      this.viewport.set(x + shift, y + (before.y - after.y) * k, k);
    }
    this.viewport.apply();
    this.dress();
    if (focused) this.focus(this.graph.byKey.get(focused), false);
  }

  placeOf(box) {
    const { layout } = this.drawing;
    return layout?.boxes.get(box.key) ?? layout?.frames.get(box.key) ?? null;
  }

  async toggle(module) {
    module.open = !module.open;
    await this.lay(module);
    this.focus(module, false);
  }

  async openAll(open) {
    const modules = [...this.graph.modules];
    let told = "";
    for (const module of modules) module.open = open;
    if (open && this.graph.countVisible() > MOST_OPEN) {
      // As many as can be looked at, from the outside in.
      for (const module of modules) module.open = false;
      const depth = (module) => this.graph.around(module).length;
      for (const module of modules.sort((a, b) => depth(a) - depth(b))) {
        module.open = true;
        if (this.graph.countVisible() > MOST_OPEN) {
          module.open = false;
          break;
        }
      }
      told = `Too many boxes for one look: about ${MOST_OPEN.toLocaleString("en")} are shown`;
    }
    await this.lay();
    this.viewport.home();
    this.say(told);
  }

  // Sets all classes that tell of selection, hits and playback.
  dress() {
    const { playback, graph } = this;
    const playing = playback.step > 0;
    this.canvas.classList.toggle("playing", playing);
    this.canvas.dataset.pass = playback.pass ?? "";
    const hits = new Set([...this.hits].map((box) => (box.isModule ? this.shownModule(box) : graph.shown(box))));
    const about = this.hovered ?? this.selected;
    for (const [key, element] of this.drawing.elements) {
      const box = graph.byKey.get(key);
      const { classList } = element;
      classList.toggle("selected", box === this.selected);
      classList.toggle("hit", hits.has(box));
      const standing = box.isModule && box.open ? "" : playback.standingOf(box);
      for (const name of ["now", "later", "done", "returned"]) classList.toggle(name, name === standing);
      element.setAttribute("tabindex", box === this.current ? 0 : -1);
      if (box === this.selected) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
    for (const { edge, element } of this.drawing.routes) {
      element.classList.toggle("touching", edge.source === about || edge.target === about);
      element.classList.toggle("flowing", playback.flows(edge));
    }
  }

  shownModule(module) {
    let shown = module;
    for (let m = module.parent; m !== this.graph.root; m = m.parent) if (!m.open) shown = m;
    return shown;
  }

  // ------------------------------------------------------------------------------ what happens

  select(box) {
    this.selected = box;
    this.hovered = null;
    if (box) this.current = box;
    this.section.classList.toggle("chosen", Boolean(box));
    this.details.show(box);
    this.dress();
  }

  focus(box, bring = true) {
    if (!box) return;
    this.current = box;
    this.dress();
    const element = this.drawing.elements.get(box.key);
    if (element) element.style.display = ""; // what is not shown takes no focus
    element?.focus({ preventScroll: true });
    const place = this.placeOf(box);
    if (bring && place) this.viewport.bring(place);
  }

  // Opens what is around a box, brings it into sight and selects it.
  async visit(box) {
    const target = box.module ?? box;
    const closed = this.graph.around(this.graph.standing(target)).some((module) => !module.open);
    if (closed) {
      this.graph.reveal(target);
      await this.lay();
    }
    this.select(box);
    const place = this.placeOf(box);
    if (place) this.viewport.bring(place, true);
    this.focus(box, false);
  }

  act(box) {
    if (box.isModule) this.toggle(box);
    this.select(box === this.selected && !box.isModule ? null : box);
  }

  overview() {
    this.select(null);
    this.section.classList.toggle("chosen");
  }

  played() {
    const { node } = this.playback;
    this.dress();
    if (!node) return;
    const box = this.graph.shown(node);
    const place = this.placeOf(box);
    if (place) this.viewport.bring(place);
    if (!this.selected) this.details.show(box);
  }

  escape() {
    if (this.playback.step) this.playback.stop();
    else if (this.search.input.value) this.search.clear();
    else if (!this.section.classList.contains("chosen") && !this.selected) return false;
    this.select(null);
    return true;
  }

  move(event) {
    const places = [...this.drawing.layout.boxes.values(), ...this.drawing.layout.frames.values()].map(
      // Of an open module only its header can be reached.
      (place) => (place.box.isModule && place.box.open ? { ...place, h: 28 } : place),
    );
    const from = places.find((place) => place.box === this.current);
    const first = places.reduce((a, b) => (a && a.y <= b.y ? a : b), null);
    const to = from && this.world.contains(document.activeElement) ? neighbour(places, from, event.key) : first;
    if (to) {
      this.focus(to.box);
      this.details.show(to.box);
    }
  }

  boxAt(event) {
    const element = event.target.closest?.("[data-key]");
    return element && this.world.contains(element) ? this.graph.byKey.get(element.dataset.key) : null;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("click", (event) => {
      if (this.viewport.moved) return;
      const box = this.boxAt(event);
      if (box) this.act(box);
      else this.select(null);
    });
    canvas.addEventListener("pointerover", (event) => {
      if (event.pointerType === "touch") return;
      const box = this.boxAt(event);
      if (box === this.hovered) return;
      this.hovered = box;
      this.details.show(box ?? this.selected ?? (this.playback.node && this.graph.shown(this.playback.node)));
      this.dress();
    });
    canvas.addEventListener("pointerleave", () => {
      this.hovered = null;
      this.details.show(this.selected);
      this.dress();
    });
    canvas.addEventListener("focusin", (event) => {
      const box = this.boxAt(event);
      if (box && box !== this.current) {
        this.current = box;
        this.dress();
      }
    });
    this.viewport.changed = () => this.drawing.cull(...this.viewport.sight);
    const zoom = (factor) => () => this.viewport.zoom(factor, undefined, undefined, true);
    listen(this.embedded ? this.section : document, {
      "/": () => this.search.input.focus(),
      f: () => this.viewport.fit(),
      "+": zoom(1.35),
      "=": zoom(1.35),
      "-": zoom(1 / 1.35),
      Escape: () => this.escape(),
      " ": (event) => (this.boxAt(event) ? this.act(this.boxAt(event)) : this.playback.toggle()),
      Enter: (event) => (this.boxAt(event) ? this.act(this.boxAt(event)) : false),
      ">": () => this.playback.by(1),
      "<": () => this.playback.by(-1),
      ArrowUp: (event) => this.moveFrom(event),
      ArrowDown: (event) => this.moveFrom(event),
      ArrowLeft: (event) => this.moveFrom(event),
      ArrowRight: (event) => this.moveFrom(event),
    });
  }

  moveFrom(event) {
    const inPanel = event.target.closest?.(".panel, .bar, .player");
    return inPanel ? false : this.move(event);
  }

  // --------------------------------------------------------------------------------- the theme

  toggleTheme() {
    const dark = getComputedStyle(this.section).colorScheme === "dark" ||
      (document.documentElement.style.colorScheme === "" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.setTheme(dark ? "light" : "dark");
    try {
      localStorage.setItem("tinygrad-cnn-theme", dark ? "light" : "dark");
    } catch {
      // Some browsers keep nothing for files; the choice then holds for this visit.
    }
  }

  setTheme(theme) {
    document.documentElement.style.colorScheme = theme;
    document.documentElement.dataset.theme = theme;
  }

  restoreTheme() {
    if (this.embedded) return;
    try {
      const theme = localStorage.getItem("tinygrad-cnn-theme");
      if (theme === "light" || theme === "dark") this.setTheme(theme);
    } catch {
      // As above.
    }
  }
}
