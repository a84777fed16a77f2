// The outlines of boxes, one for each kind; the same as in the DOT pictures.

const outlines = {
  // A house upside down: what goes in points down to where it is used.
  input: (w, h) => {
    const edge = h - 9;
    return `M0 4Q0 0 4 0H${w - 4}Q${w} 0 ${w} 4V${edge}L${w / 2} ${h}L0 ${edge}Z`;
  },
  parameter: (w, h) => {
    const lid = 4;
    const arc = (sweep, x) => `A${w / 2} ${lid} 0 0 ${sweep} ${x} `;
    return `M0 ${lid}${arc(1, w)}${lid}V${h - lid}${arc(1, 0)}${h - lid}Z` +
      `M0 ${lid}${arc(0, w)}${lid}`;
  },
  buffer: (w, h) => `M0 4H${w - 26}L${w - 22} 0H${w - 6}L${w - 2} 4H${w}V${h}H0Z`,
  constant: (w, h) => `M0 0H${w - 8}L${w} 8V${h}H0ZM${w - 8} 0V8H${w}`,
  loss: (w, h) => {
    const c = Math.min(11, h / 3);
    return `M${c} 0H${w - c}L${w} ${c}V${h - c}L${w - c} ${h}H${c}L0 ${h - c}V${c}Z`;
  },
  module: (w, h) => {
    const d = 5; // the depth of the block
    return `M0 ${d}L${d} 0H${w}V${h - d}L${w - d} ${h}H0Z` +
      `M0 ${d}H${w - d}V${h}M${w - d} ${d}L${w} 0`;
  },
  seed: (w, h) => `M0 ${h / 2}A${w / 2} ${h / 2} 0 1 1 ${w} ${h / 2}A${w / 2} ${h / 2} 0 1 1 0 ${h / 2}Z`,
  gradient: (w, h) => `M${w / 2} 0L${w} 8V${h}H0V8Z`,
};

function rounded(w, h) {
  const r = 7;
  const q = (x, y) => `a${r} ${r} 0 0 1 ${x} ${y}`;
  return `M${r} 0h${w - 2 * r}${q(r, r)}v${h - 2 * r}${q(-r, r)}h${2 * r - w}${q(-r, -r)}` +
    `v${2 * r - h}${q(r, -r)}z`;
}

export function outline(kind, width, height) {
  return (outlines[kind] ?? rounded)(width, height);
}

// What an outline takes off the room for text: above and below.
const insets = {
  input: [0, 7],
  parameter: [5, 1],
  buffer: [3, 0],
  module: [5, 0],
  gradient: [6, 0],
};

const SMALL = new Set(["parameter", "buffer", "constant", "gradient"]);

// The size of a box from its text, and where its lines stand in it.
export function measureBox(box, widthOf) {
  const small = SMALL.has(box.kind);
  const [above, below] = insets[box.kind] ?? [0, 0];
  const name = shorten(box.name);
  const nameSize = small ? 11.5 : 13;
  const lineSize = small ? 10 : 11;
  const widest = Math.max(
    widthOf(name, nameSize, 600),
    ...box.lines.map((line) => widthOf(line, lineSize, 400)),
  );
  const margin = box.kind === "loss" ? 20 : box.isModule ? 24 : small ? 9 : 14;
  const step = lineSize + 4.5;
  const text = nameSize + box.lines.length * step;
  const pad = small ? 6 : 9;
  const h = Math.round(text + 2 * pad + above + below);
  const w = box.kind === "seed" ? h : Math.max(small ? 44 : 72, Math.ceil(widest) + 2 * margin);
  const first = above + pad + nameSize - 2.5;
  return {
    w,
    h,
    name,
    nameSize,
    lineSize,
    baselines: [first, ...box.lines.map((_, i) => first + (i + 1) * step)],
  };
}

export function shorten(text, length = 38) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text || " ";
}
