// Where everything stands. Every open module is laid out by itself (by dagre) and then stands as
// one box in the module around it, so that opening one moves little and large graphs stay quick.
// An arrow that leaves or enters an open module passes its border at a port of its own.

const HEADER = 35; // of an open module
const FAN = 22; // under it, where what comes in spreads
const PADDING = 18;
const BESIDE = 20; // between a box and what stands beside it
const GAP = 5; // between boxes in a column
const ROWS = 38; // between rows

// Returns { boxes: Map key → {x, y, w, h}, frames: Map key → …, routes: [{edge, points}], w, h }.
export async function layOut(graph, measure, known, pause) {
  const plans = planOf(graph, graph.visibleEdges(), measure);
  for (const container of plans.order) {
    const plan = plans.get(container);
    arrange(plan, plans.shift, known);
    if (container !== graph.root) {
      frameAround(plan, measure.title(container));
    }
    await pause();
  }
  return placed(graph, plans);
}

// The frame of an open module. What flows through it stays on one line with what is above and
// below: the frame takes as much room on both sides of that line.
function frameAround(plan, title) {
  const { frame } = plan;
  frame.width = Math.max(plan.w + 2 * PADDING, title);
  const uses = [...plan.links.keys()].filter((key) => key.startsWith("in ")).length;
  const inPorts = [...plan.ports.keys()].filter((key) => key.startsWith("in ")).length;
  frame.above = HEADER + (uses > inPorts || inPorts > 1 ? FAN : 0);
  frame.h = plan.h + frame.above + PADDING;
  const axis = [...plan.ports.values()][0] ?? plan.w / 2;
  frame.left = axis + PADDING; // of the line
  frame.right = frame.width - frame.left;
  frame.w = 2 * Math.max(frame.left, frame.right);
}

// What stands in each open module, and what is joined to what.
function planOf(graph, edges, measure) {
  const plans = new Map();
  plans.order = []; // the innermost first
  plans.shift = 0;
  const open = (container) => {
    const plan = { container, items: new Map(), links: new Map(), frame: { w: 0, h: 0 } };
    plans.set(container, plan);
    for (const child of container.children) {
      if (child.isModule && child.open) {
        open(child);
        plan.items.set(child, { box: child, frame: plans.get(child).frame });
      } else {
        const cluster = clusterOf(child, measure);
        plan.items.set(child, cluster);
        plans.shift = Math.max(plans.shift, cluster.shift);
      }
    }
    plans.order.push(container);
  };
  open(graph.root);
  plans.edges = edges.map((edge) => ({ edge, legs: link(graph, plans, edge) }));
  return plans;
}

// A box with what stands beside it: leaves to the left, its rule to the right, gradients beyond.
function clusterOf(box, measure) {
  const guests = box.isModule ? [box.backward].filter(Boolean) : box.guests;
  const rule = guests.find((guest) => guest.kind === "rule") ?? null;
  const further = rule?.guests ?? [];
  const right = [...guests.filter((g) => g.kind === "gradient" || g.kind === "seed"), ...further];
  const left = guests.filter((guest) => guest !== rule && !right.includes(guest));
  const size = new Map([box, ...guests, ...further].map((b) => [b, measure(b)]));
  const shift = rule ? (size.get(box).w / 2 + size.get(rule).w / 2 + 34) / 2 : 0;
  return { box, left, rule, right, size, shift };
}

// Joins the items that an arrow goes between, in every module that it passes.
function link(graph, plans, edge) {
  // Gradients run upwards: they are laid out like the values that they belong to.
  const up = edge.kind === "gradient";
  const source = graph.standing(up ? edge.target : edge.source);
  const target = graph.standing(up ? edge.source : edge.target);
  if (source === target) return null;
  const [from, to] = [graph.around(source), graph.around(target)];
  let common = 0;
  while (common < from.length && common < to.length && from[common] === to[common]) common += 1;
  const item = (chain, box, depth) => chain[depth + 1] ?? box;
  const legs = [];
  const add = (container, a, b, port, box) => {
    const key = `${a} ${b}`;
    plans.get(container).links.set(key, { a, b, port });
    legs.push({ container, key, port, box });
  };
  for (let d = from.length - 1; d >= common; d--) {
    const box = item(from, source, d);
    add(from[d], box.key, `out ${source.key}`, "out", box);
  }
  const a = item(from, source, common - 1);
  const b = item(to, target, common - 1);
  const at = from[common - 1];
  plans.get(at).links.set(`${a.key} ${b.key}`, { a: a.key, b: b.key, port: null });
  legs.push({ container: at, key: `${a.key} ${b.key}`, port: null, from: a, box: b });
  for (let d = common; d < to.length; d++) {
    const box = item(to, target, d);
    add(to[d], `in ${source.key}`, box.key, "in", box);
  }
  return { legs, source, target, up };
}

// Lays one module out: gives its plan positions of items, ways of links and places of ports.
function arrange(plan, shift, known) {
  const sizes = [];
  for (const [box, item] of plan.items) {
    if (!item.frame) arrangeCluster(item, shift);
    const { w, h, left, right } = item.frame ?? item;
    sizes.push([box.key, w, h, left, right]);
  }
  const links = [...plan.links.values()].map(({ a, b }) => [a, b]);
  const name = JSON.stringify([sizes, links, shift]);
  if (!known.has(name)) known.set(name, runDagre(sizes, links, shift));
  Object.assign(plan, known.get(name));
}

// The places in a cluster, from its middle; the main box stands `shift` to the left of it.
function arrangeCluster(item, shift) {
  const { box, left, rule, right, size } = item;
  const column = (boxes) => ({
    w: Math.max(0, ...boxes.map((b) => size.get(b).w)),
    h: boxes.reduce((sum, b) => sum + size.get(b).h + GAP, -GAP),
  });
  item.places = new Map();
  const put = (b, x) => item.places.set(b, { x, y: 0, ...size.get(b) });
  put(box, -shift);
  let end = -shift + size.get(box).w / 2;
  if (rule) {
    put(rule, shift);
    end = shift + size.get(rule).w / 2;
  }
  const start = -shift - size.get(box).w / 2;
  const stack = (boxes, edgeOf) => {
    let y = -column(boxes).h / 2;
    for (const b of boxes) {
      const { h } = size.get(b);
      put(b, edgeOf(size.get(b).w));
      item.places.get(b).y = y + h / 2;
      y += h + GAP;
    }
  };
  stack(left, (w) => start - BESIDE - w / 2);
  stack(right, (w) => end + BESIDE + w / 2);
  const places = [...item.places.values()];
  item.left = Math.max(...places.map((p) => p.w / 2 - p.x)); // of its middle
  item.right = Math.max(...places.map((p) => p.w / 2 + p.x));
  item.w = 2 * Math.max(item.left, item.right);
  item.h = Math.max(column(left).h, column(right).h, size.get(box).h, rule ? size.get(rule).h : 0);
}

function runDagre(sizes, links, shift) {
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: "TB", nodesep: 26, edgesep: 22 + 2 * shift, ranksep: ROWS });
  for (const [key, width, height] of sizes) g.setNode(key, { width, height });
  const starts = new Set(sizes.map(([key]) => key));
  const ends = new Set(starts);
  const ports = { in: new Set(), out: new Set() };
  for (const [a, b] of links) {
    if (a.startsWith("in ")) ports.in.add(a);
    else ends.delete(a);
    if (b.startsWith("out ")) ports.out.add(b);
    else starts.delete(b);
  }
  for (const port of [...ports.in, ...ports.out]) g.setNode(port, { width: 4, height: 0 });
  for (const [a, b] of links) g.setEdge(a, b, { weight: 2 });
  // Ports stand at the very top and bottom: held there by two boxes that are not drawn.
  if (ports.in.size) {
    g.setNode("top", { width: 0, height: 0 });
    for (const port of ports.in) g.setEdge("top", port, { weight: 50 });
    for (const key of starts) g.setEdge("top", key, { weight: 0 });
  }
  if (ports.out.size) {
    g.setNode("bottom", { width: 0, height: 0 });
    for (const port of ports.out) g.setEdge(port, "bottom", { weight: 50 });
    for (const key of ends) g.setEdge(key, "bottom", { weight: 0 });
  }
  dagre.layout(g);
  return readDagre(g, sizes, links, shift);
}

// Reads positions with the top left corner of all items at 0, 0.
function readDagre(g, sizes, links, shift) {
  const lane = shift + 6; // arrows pass on both sides of where dagre has them
  const rows = new Map();
  for (const [key] of sizes) {
    const { y, height } = g.node(key);
    rows.set(y, Math.max(rows.get(y) ?? 0, height));
  }
  const ways = new Map();
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [key, , height, left, right] of sizes) {
    const { x, y } = g.node(key);
    [x0, x1] = [Math.min(x0, x - left), Math.max(x1, x + right)];
    [y0, y1] = [Math.min(y0, y - height / 2), Math.max(y1, y + height / 2)];
  }
  for (const [a, b] of links) {
    // An arrow passes each row between its ends straight down, and bends only between rows.
    const points = [];
    for (const { x, y } of g.edge(a, b).points.slice(1, -1)) {
      const height = rows.get(y);
      if (height === undefined) continue;
      points.push([x, y - height / 2], [x, y + height / 2]);
      [x0, x1] = [Math.min(x0, x - lane), Math.max(x1, x + lane)];
    }
    ways.set(`${a} ${b}`, points);
  }
  const ports = new Map();
  for (const key of g.nodes()) {
    if (!/^(in|out) /.test(key)) continue;
    const { x } = g.node(key);
    ports.set(key, x);
    [x0, x1] = [Math.min(x0, x - lane), Math.max(x1, x + lane)];
  }
  const at = new Map();
  for (const [key] of sizes) {
    const { x, y } = g.node(key);
    at.set(key, { x: x - x0, y: y - y0, row: [y - y0 - rows.get(y) / 2, y - y0 + rows.get(y) / 2] });
  }
  for (const points of ways.values()) {
    for (const point of points) [point[0], point[1]] = [point[0] - x0, point[1] - y0];
  }
  for (const [key, x] of ports) ports.set(key, x - x0);
  return { at, ways, ports, w: Math.max(0, x1 - x0), h: Math.max(0, y1 - y0) };
}

// Puts everything on one sheet: from places in modules to places in the drawing.
function placed(graph, plans) {
  const boxes = new Map();
  const frames = new Map();
  const origins = new Map([[graph.root, [0, 0]]]);
  for (const container of [...plans.order].reverse()) {
    const plan = plans.get(container);
    const [ox, oy] = origins.get(container);
    for (const [box, item] of plan.items) {
      const at = plan.at.get(box.key);
      if (item.frame) {
        const { width, h, left, above } = item.frame;
        const frame = { x: ox + at.x - left, y: oy + at.y - h / 2, w: width, h };
        frames.set(box.key, { ...frame, box });
        origins.set(box, [frame.x + PADDING, frame.y + above]);
        continue;
      }
      for (const [b, place] of item.places) {
        const [x, y] = [ox + at.x + place.x, oy + at.y + place.y];
        boxes.set(b.key, { ...place, x: x - place.w / 2, y: y - place.h / 2, box: b });
      }
    }
  }
  const sheet = { plans, origins, boxes, frames };
  const routes = plans.edges.map(({ edge, legs }) => ({
    edge,
    points: legs ? routeBetween(sheet, edge, legs) : routeBeside(boxes, edge),
    beside: !legs,
  }));
  const { w, h } = plans.get(graph.root);
  return { boxes, frames, routes, w, h };
}

// From the bottom of one box through ports and between rows to the top of another one.
function routeBetween({ plans, origins, boxes, frames }, edge, { legs, source, target, up }) {
  const start = boxes.get((up ? edge.target : edge.source).key) ?? boxes.get(source.key);
  const end = boxes.get((up ? edge.source : edge.target).key) ?? boxes.get(target.key);
  const aside = up ? plans.shift : -plans.shift;
  const points = [[start.x + start.w / 2, start.y + start.h]];
  for (const leg of legs) {
    const plan = plans.get(leg.container);
    const [ox, oy] = origins.get(leg.container);
    const last = points.at(-1);
    const rowOf = (box) => plan.at.get(box.key).row;
    const [a, b] = leg.port ? [leg.box, leg.box] : [leg.from, leg.box];
    const port = () => ox + plan.ports.get(leg.key.match(/(in|out) \w+/)[0]) + aside;
    const frame = frames.get(leg.container.key);
    const downwards = leg.port || rowOf(a)[0] <= rowOf(b)[0];
    if (leg.port === "in") points.push([port(), frame.y], [port(), frame.y + 28]);
    else if (downwards) points.push([last[0], oy + rowOf(a)[1]]);
    for (const [x, y] of plan.ways.get(leg.key)) points.push([ox + x + aside, oy + y]);
    if (leg.port === "out") points.push([port(), frame.y + frame.h]);
    else if (downwards) points.push(["next", oy + rowOf(b)[0]]);
  }
  points.push([end.x + end.w / 2, end.y]);
  // Straight down into a box or a port from the beginning of its row on.
  for (let i = points.length - 2; i >= 0; i--) {
    if (points[i][0] === "next") points[i][0] = points[i + 1][0];
  }
  return up ? points.reverse() : points;
}

// Between boxes that stand side by side.
function routeBeside(boxes, edge) {
  const [a, b] = [boxes.get(edge.source.key), boxes.get(edge.target.key)];
  if (!a || !b) return null;
  const rightwards = a.x < b.x;
  const middle = b.y + b.h / 2;
  const y = a.y + a.h / 2;
  const inside = Math.min(Math.max(y, b.y + 9), b.y + b.h - 9);
  return [
    [rightwards ? a.x + a.w : a.x, y],
    [rightwards ? b.x : b.x + b.w, b.h > 30 ? inside : middle],
  ];
}
