// The graph as the page sees it: boxes (of nodes and of modules) and which of them are visible.

export class PageGraph {
  constructor(data) {
    this.data = data;
    this.root = { key: "root", isModule: true, open: true, parent: null, children: [] };
    this.modules = data.modules.map((module, i) => ({
      ...module,
      key: `m${i}`,
      isModule: true,
      kind: "module",
      open: Boolean(module.open),
      children: [],
    }));
    this.nodes = data.nodes.map((node, i) => ({ ...node, key: `n${i}`, guests: [] }));
    for (const box of [...this.modules, ...this.nodes]) {
      box.parent = box.in === -1 || box.in === undefined ? this.root : this.modules[box.in];
      box.path ??= "";
      box.lines ??= [];
    }
    for (const module of this.modules) {
      module.parent.children.push(module);
      // What its rules are when it is closed.
      module.backward = module.rules && {
        key: `${module.key}r`,
        kind: "rule",
        name: `${module.name} backward`,
        path: module.path,
        lines: [],
        facts: [],
        module,
        host: module,
        verdict: module.verdict,
      };
    }
    for (const node of this.nodes) {
      node.host = node.host === undefined ? null : this.nodes[node.host];
      if (node.host) node.host.guests.push(node);
      else node.parent.children.push(node);
    }
    this.edges = data.edges.map(([source, target, kind, argument, differentiable]) => ({
      source: this.nodes[source],
      target: this.nodes[target],
      kind,
      argument,
      differentiable: Boolean(differentiable),
    }));
    this.incoming = new Map(this.nodes.map((node) => [node, []]));
    this.outgoing = new Map(this.nodes.map((node) => [node, []]));
    for (const edge of this.edges) {
      this.incoming.get(edge.target).push(edge);
      this.outgoing.get(edge.source).push(edge);
    }
    this.byKey = new Map([...this.nodes, ...this.modules].map((box) => [box.key, box]));
    for (const module of this.modules) {
      if (module.backward) this.byKey.set(module.backward.key, module.backward);
    }
    this.forward = data.forward.map((i) => this.nodes[i]);
    this.backward = data.backward.map((i) => this.nodes[i]);
    this.hasRules = this.backward.some((node) => node.kind === "rule");
    this.numberSteps();
  }

  // For every box the first and the last step of each pass in which something in it is computed.
  // A leaf belongs to the first step that reads it, its gradient is complete after the last.
  numberSteps() {
    const widen = (box, pass, step) => {
      const range = (box[pass] ??= [step, step]);
      range[0] = Math.min(range[0], step);
      range[1] = Math.max(range[1], step);
    };
    const steps = new Set([...this.forward, ...this.backward]);
    for (const [pass, order] of [["computed", this.forward], ["returned", this.backward]]) {
      order.forEach((node, i) => {
        widen(node, pass, i + 1);
        for (let m = node.parent; m !== this.root; m = m.parent) widen(m, pass, i + 1);
        for (const edge of this.incoming.get(node)) {
          if (steps.has(edge.source)) continue;
          if (pass === "computed" || edge.differentiable) widen(edge.source, pass, i + 1);
        }
        for (const edge of this.outgoing.get(node)) {
          if (edge.target.kind === "gradient") widen(edge.target, pass, i + 1);
        }
      });
    }
    for (const module of this.modules) {
      if (module.backward) module.backward.returned = module.returned;
    }
  }

  // The box that shows a node: itself, or the outermost closed module around it.
  shown(node) {
    let box = node;
    for (let m = node.parent; m && m !== this.root; m = m.parent) if (!m.open) box = m;
    return box.isModule && (node.kind === "rule" || node.kind === "gradient") && box.backward
      ? box.backward
      : box;
  }

  // The box that stands by itself in the layout, which a box stands beside.
  standing(box) {
    while (box.host) box = box.host;
    return box;
  }

  // Every arrow between two visible boxes, once.
  visibleEdges() {
    const found = new Map();
    for (const edge of this.edges) {
      const source = this.shown(edge.source);
      const target = this.shown(edge.target);
      if (source === target) continue;
      const key = `${source.key} ${target.key} ${edge.kind === "through" ? "value" : edge.kind}`;
      const known = found.get(key);
      if (known) known.differentiable ||= edge.differentiable;
      else found.set(key, { ...edge, source, target, key });
    }
    return [...found.values()];
  }

  // The modules around a box, from the outside to the inside, the root first.
  around(box) {
    const chain = [];
    for (let m = box.parent; m; m = m.parent) chain.unshift(m);
    return chain;
  }

  reveal(box) {
    for (const module of this.around(this.standing(box))) module.open = true;
  }

  // How many boxes would be seen.
  countVisible() {
    let count = 0;
    const pending = [this.root];
    while (pending.length) {
      for (const child of pending.pop().children) {
        count += 1 + (child.guests?.length ?? 0);
        if (child.isModule && child.open) pending.push(child);
      }
    }
    return count;
  }
}
