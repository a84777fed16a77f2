// The panel: what is known of one box, or of the whole graph.

import { glyph, html, svg } from "./dom.js";
import { outline } from "./shapes.js";

const KINDS = [
  ["input", "input"],
  ["parameter", "parameter"],
  ["buffer", "buffer"],
  ["constant", "constant"],
  ["op", "operation"],
  ["loss", "loss"],
  ["module", "module, closed"],
  ["rule", "backward rule"],
  ["seed", "seed"],
  ["gradient", "gradient"],
];

const KEYS = [
  ["/", "search"],
  ["f", "fit everything"],
  ["+ −", "zoom"],
  ["← ↑ ↓ →", "move between boxes"],
  ["Enter", "open, close, choose"],
  ["Space", "play and pause"],
  ["< >", "step back, step on"],
  ["Esc", "back to the whole"],
];

export class Details {
  constructor(panel, graph, go, shut) {
    this.panel = panel;
    this.graph = graph;
    this.go = go; // brings a box into sight
    this.shut = html(
      "button",
      { type: "button", class: "shut", "aria-label": "Close details", onclick: shut },
      glyph("M3.5 2.4 8 6.9l4.5-4.5 1.1 1.1L9.1 8l4.5 4.5-1.1 1.1L8 9.1l-4.5 4.5-1.1-1.1L6.9 8 2.4 3.5z"),
    );
    this.shown = undefined;
  }

  show(box) {
    if (box === this.shown) return;
    this.shown = box;
    this.panel.replaceChildren(this.shut, ...(box ? this.aboutBox(box) : this.aboutGraph()));
    this.panel.scrollTop = 0;
  }

  aboutGraph() {
    const { data } = this.graph;
    const present = new Set([...this.graph.nodes, ...this.graph.modules].map((box) => box.kind));
    const parts = [
      html("h2", {}, data.title),
      html("ul", { class: "facts" }, ...data.facts.map((fact) => html("li", {}, fact))),
    ];
    if (Object.keys(data.verdicts).length) parts.push(...this.aboutVerification());
    parts.push(
      html("h3", {}, "Boxes"),
      html("ul", { class: "legend" }, ...KINDS.filter(([kind]) => present.has(kind)).map(legendItem)),
      html("h3", {}, "Keys"),
      html(
        "dl",
        { class: "keys" },
        ...KEYS.flatMap(([key, what]) => [
          html("dt", {}, ...key.split(" ").map((k) => html("kbd", {}, k))),
          html("dd", {}, what),
        ]),
      ),
    );
    return parts;
  }

  aboutVerification() {
    const { data } = this.graph;
    const wrong = this.graph.nodes.filter(
      (node) => ["FAIL", "INCONCLUSIVE"].includes(node.verdict) && node.kind !== "rule",
    );
    return [
      html("h3", {}, "Verification"),
      html(
        "ul",
        { class: "verdicts" },
        ...Object.entries(data.verdicts).map(([verdict, count]) =>
          html("li", { class: `chip verdict-${verdict}` }, `${verdict} ${count}`),
        ),
      ),
      wrong.length ? html("ul", { class: "links" }, ...wrong.map((box) => this.link(box))) : null,
      data.report ? html("details", {}, html("summary", {}, "Report"), report(data.report)) : null,
    ].filter(Boolean);
  }

  aboutBox(box) {
    const kind = box.isModule ? (box.group ? "group" : "module") : (nameOfKind(box.kind) ?? box.kind);
    // A module is known by its whole path: its name alone may be a number.
    const title = box.isModule && !box.group ? box.path : box.name;
    const parts = [
      html(
        "p",
        { class: "kind" },
        icon(box.kind, box.verdict),
        [kind, box.type].filter(Boolean).join(" · "),
      ),
      html("h2", {}, title || "(no name)"),
      box.path && box.path !== title ? html("p", { class: "path" }, box.path) : null,
    ];
    if (box.verdict || box.report) parts.push(verdictOf(box));
    parts.push(factList(box.facts ?? []));
    const about = box.module ?? box;
    if (!about.isModule) {
      parts.push(...statistics("Value", box.value), ...statistics("Gradient", box.gradient));
      if (!box.value && !box.gradient && !["rule", "seed"].includes(box.kind)) {
        parts.push(html("p", { class: "absent" }, "Statistics not computed"));
      }
      parts.push(...this.neighbours("Reads", this.graph.incoming.get(box), "source"));
      parts.push(...this.neighbours("Read by", this.graph.outgoing.get(box), "target"));
    }
    return parts.filter(Boolean);
  }

  neighbours(title, edges, end) {
    if (!edges?.length) return [];
    const links = edges.slice(0, 12).map((edge) => this.link(edge[end], edge.argument));
    if (edges.length > 12) links.push(html("li", { class: "absent" }, `${edges.length - 12} more`));
    return [html("h3", {}, title), html("ul", { class: "links" }, ...links)];
  }

  link(box, argument = "") {
    return html(
      "li",
      {},
      html(
        "button",
        { type: "button", class: "link", onclick: () => this.go(box) },
        icon(box.kind, box.verdict),
        html("span", { class: "what" }, box.name || "(no name)"),
        html("span", { class: "where" }, argument || box.path || ""),
      ),
    );
  }
}

function nameOfKind(kind) {
  return KINDS.find(([key]) => key === kind)?.[1].split(",")[0];
}

function legendItem([kind, what]) {
  return html("li", {}, icon(kind), what);
}

export function icon(kind, verdict = null) {
  const [w, h] = kind === "seed" ? [16, 16] : [24, 17];
  return svg(
    "svg",
    { class: "icon", viewBox: "-1.5 -1.5 27 20", width: 27, height: 20, "aria-hidden": "true" },
    svg(
      "g",
      { class: `box kind-${kind}${verdict ? ` verdict-${verdict}` : ""}` },
      svg("path", { class: "outline", d: outline(kind, w, h) }),
    ),
  );
}

function verdictOf(box) {
  return html(
    "div",
    { class: `verdict verdict-${box.verdict ?? "PASS"}` },
    box.verdict ? html("strong", {}, box.verdict) : null,
    box.report ? report(box.report) : null,
  );
}

function report(text) {
  return html("pre", { class: "report", tabindex: 0 }, text);
}

function factList(facts) {
  if (!facts.length) return null;
  const rows = facts.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
  return html("dl", { class: "table" }, ...rows);
}

function statistics(title, found) {
  if (!found) return [];
  const parts = [html("h3", {}, title)];
  if (found.bins?.length) parts.push(histogram(title, found));
  parts.push(factList(found.rows));
  return parts;
}

function histogram(title, { bins, from, to }) {
  const [width, height] = [240, 56];
  const step = width / bins.length;
  const most = Math.max(...bins);
  const bars = bins.map((count, i) => {
    // A bin that is not empty is always seen.
    const h = count ? Math.max(1.5, (count / most) * height) : 0;
    return svg("rect", { x: i * step + 0.5, y: height - h, width: step - 1, height: h, rx: 1 });
  });
  return html(
    "figure",
    { class: "histogram" },
    svg(
      "svg",
      {
        viewBox: `0 0 ${width} ${height + 1}`,
        role: "img",
        "aria-label": `${title}: histogram of ${bins.length} bins from ${from} to ${to}`,
      },
      ...bars,
      svg("path", { class: "axis", d: `M0 ${height + 0.5}H${width}` }),
    ),
    html("figcaption", {}, html("span", {}, from), html("span", {}, to)),
  );
}

