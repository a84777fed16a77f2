// Drawing a layout as SVG. Boxes that stay are moved, not made anew.

import { svg } from "./dom.js";
import { measureBox, outline, shorten } from "./shapes.js";

const LARGE = 400; // boxes

export class Drawing {
  constructor(world) {
    this.world = world;
    this.frames = svg("g");
    this.arrows = svg("g", { "aria-hidden": "true" });
    this.headers = svg("g");
    this.boxes = svg("g");
    world.append(this.frames, this.arrows, this.headers, this.boxes);
    this.elements = new Map(); // key → element of a box or of an open module
    this.routes = []; // { edge, element }
    this.layout = null;
  }

  show(layout) {
    this.layout = layout;
    const before = this.elements;
    this.elements = new Map();
    const frames = [...layout.frames].map(([key, place]) => frameElements(key, place));
    this.frames.replaceChildren(...frames.map(([paper]) => paper));
    this.headers.replaceChildren(...frames.map(([, header]) => header));
    for (const [, header] of frames) this.elements.set(header.dataset.key, header);
    const boxes = [];
    // In the order in which one reads them, for those who go through them one by one.
    const reading = [...layout.boxes].sort(([, a], [, b]) => a.y - b.y || a.x - b.x);
    for (const [key, place] of reading) {
      const old = before.get(key);
      const element = old?.classList.contains("box") ? old : boxElement(key, place);
      element.style.transform = `translate(${place.x}px, ${place.y}px)`;
      this.elements.set(key, element);
      boxes.push(element);
    }
    // Only what changed is put in or taken out: an element that is put in again loses its focus.
    const kept = new Set(boxes);
    for (const element of [...this.boxes.children]) if (!kept.has(element)) element.remove();
    boxes.forEach((element, i) => {
      if (this.boxes.children[i] !== element) {
        this.boxes.insertBefore(element, this.boxes.children[i] ?? null);
      }
    });
    this.routes = layout.routes
      .filter((route) => route.points)
      .map(({ edge, points, beside }) => ({
        edge,
        element: arrow(edge, points, beside),
        place: extent(points),
      }));
    this.arrows.replaceChildren(...this.routes.map((route) => route.element));
    this.culled = [
      ...this.routes,
      ...[...layout.boxes].map(([key, place]) => ({ element: this.elements.get(key), place })),
    ];
    for (const item of this.culled) item.element.style.display = "";
  }

  // Takes out of a large drawing what is far from sight: browsers set all text anew at every zoom.
  cull(x, y, w, h) {
    if (!this.culled || this.layout.boxes.size <= LARGE) return;
    for (const item of this.culled) {
      const { place } = item;
      const near = place.x < x + 2 * w && place.x + place.w > x - w &&
        place.y < y + 2 * h && place.y + place.h > y - h;
      if (item.near !== near) item.element.style.display = near ? "" : "none";
      item.near = near;
    }
  }
}

function extent(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y };
}

// An open module: its paper under the arrows, its header over them.
function frameElements(key, { x, y, w, h, box }) {
  const depth = box.parent.key === "root" ? 0 : 1 + (box.parent.depth ?? 0);
  box.depth = depth;
  const shade = depth % 2 ? "odd" : "even";
  const transform = `translate(${x} ${y})`;
  const title = svg("text", { class: "title", x: 30, y: 20 }, shorten(box.name));
  if (box.type) title.append(svg("tspan", { class: "type", dx: 7 }, box.type));
  const header = svg(
    "g",
    {
      class: `header ${shade}${box.verdict ? ` verdict-${box.verdict}` : ""}`,
      transform,
      role: "button",
      tabindex: -1,
      "data-key": key,
      "aria-expanded": "true",
      "aria-label": `${describe(box)}, open`,
    },
    svg("rect", { class: "grip", width: w, height: 28, rx: 9 }),
    svg("path", { class: "sign", d: "M12 15.5h9" }),
    title,
  );
  return [svg("rect", { class: `paper ${shade}`, transform, width: w, height: h, rx: 10 }), header];
}

function boxElement(key, place) {
  const { box, w, h, name, nameSize, lineSize, baselines } = place;
  const closed = box.isModule;
  const element = svg(
    "g",
    {
      class: `box kind-${box.kind}${box.verdict ? ` verdict-${box.verdict}` : ""}${
        box.output ? " output" : ""
      }`,
      role: "button",
      tabindex: -1,
      "data-key": key,
      "aria-expanded": closed ? "false" : null,
      "aria-label": `${describe(box)}${closed ? ", closed" : ""}`,
    },
    svg("path", { class: "outline", d: outline(box.kind, w, h) }),
    svg("text", { class: "name", x: w / 2, y: baselines[0], "font-size": nameSize }, name),
    ...box.lines.map((line, i) =>
      svg("text", { class: "line", x: w / 2, y: baselines[i + 1], "font-size": lineSize }, line),
    ),
  );
  if (closed) element.append(svg("path", { class: "sign", d: `M${w - 21} 16h8m-4 -4v8` }));
  return element;
}

// A box in words, for those who hear the page.
export function describe(box) {
  const kind = box.isModule ? (box.group ? "group" : `module ${box.type ?? ""}`.trim()) : box.kind;
  const parts = [box.kind === "op" || box.kind === "rule" ? box.name : `${kind} ${box.name}`];
  parts.push(...box.lines);
  if (box.verdict) parts.push(`verdict ${box.verdict}`);
  return parts.join(", ");
}

function arrow(edge, points, beside) {
  const kind = edge.kind === "value" && !edge.differentiable ? "plain" : edge.kind;
  return svg(
    "g",
    { class: `arrow arrow-${kind}` },
    svg("path", { class: "shaft", d: curve(points, beside) }),
    edge.kind === "saved" ? null : svg("path", { d: head(points, beside) }),
  );
}

// Straight where it can be, else in an S that begins and ends in the direction of flow.
function curve(points, beside) {
  let d = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1];
    const [x1, y1] = points[i];
    if (beside) {
      const middle = (x0 + x1) / 2;
      d += `C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}`;
    } else if (Math.abs(x0 - x1) < 0.5) d += `V${y1}`;
    else {
      const reach = (y1 - y0) / 2;
      d += `C${x0} ${y0 + reach} ${x1} ${y1 - reach} ${x1} ${y1}`;
    }
  }
  return d;
}

function head(points, beside) {
  const [x, y] = points.at(-1);
  const [x0, y0] = points.at(-2);
  if (beside) {
    const back = x > x0 ? -5 : 5;
    return `M${x + back} ${y - 3.5}L${x} ${y}L${x + back} ${y + 3.5}`;
  }
  const back = y >= y0 ? -6 : 6;
  return `M${x - 4} ${y + back}L${x} ${y}L${x + 4} ${y + back}`;
}

// Measures text as it will be drawn.
export function measurer(family) {
  const context = document.createElement("canvas").getContext("2d");
  const sizes = new Map();
  const widthOf = (text, size, weight) => {
    context.font = `${weight} ${size}px ${family}`;
    return context.measureText(text).width;
  };
  const measure = (box) => {
    if (!sizes.has(box.key)) sizes.set(box.key, measureBox(box, widthOf));
    return sizes.get(box.key);
  };
  measure.title = (module) =>
    widthOf(`${shorten(module.name)}  ${module.type ?? ""}`, 12, 600) + 54;
  return measure;
}
