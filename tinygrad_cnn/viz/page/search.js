// Search: names, modules, settings, shapes and verdicts; the hits as a list and on the drawing.

import { html } from "./dom.js";
import { icon } from "./details.js";

const MOST = 50; // in the list

export class Search {
  constructor(root, id, graph, { choose, mark }) {
    this.graph = graph;
    this.choose = choose; // takes a box
    this.mark = mark; // takes the set of hits
    this.hits = [];
    this.active = -1;
    this.id = id;
    this.texts = [...graph.modules, ...graph.nodes].map((box) => [box, textOf(box)]);
    this.input = html("input", {
      type: "search",
      role: "combobox",
      placeholder: "Search",
      "aria-label": "Search boxes",
      "aria-expanded": "false",
      "aria-controls": `${id}-hits`,
      "aria-autocomplete": "list",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.search(),
      onkeydown: (event) => this.key(event),
      onfocus: () => this.input.value && this.search(),
      onblur: () => this.close(),
    });
    this.list = html("ul", { id: `${id}-hits`, role: "listbox", "aria-label": "Hits", hidden: true });
    this.count = html("p", { class: "unseen", role: "status" });
    root.append(this.input, html("kbd", { "aria-hidden": "true" }, "/"), this.list, this.count);
  }

  search() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length
      ? this.texts.filter(([, text]) => words.every((word) => text.includes(word)))
      : [];
    // What is called so comes before what only mentions it.
    const called = (box) => box.name.toLowerCase().includes(words[0]);
    this.hits = found.map(([box]) => box).sort((a, b) => called(b) - called(a));
    this.mark(new Set(this.hits));
    this.active = this.hits.length ? 0 : -1;
    this.show(words.length > 0);
  }

  show(open) {
    const items = this.hits.slice(0, MOST).map((box, i) =>
      html(
        "li",
        {
          id: `${this.id}-hit-${i}`,
          role: "option",
          "aria-selected": String(i === this.active),
          // The press would take the focus away and close the list before the click.
          onpointerdown: (event) => event.preventDefault(),
          onclick: () => this.take(i),
        },
        icon(box.kind, box.verdict),
        html("span", { class: "what" }, box.name || "(no name)"),
        html("span", { class: "where" }, box.path === box.name ? "" : box.path),
      ),
    );
    const more = this.hits.length - MOST;
    if (more > 0) items.push(html("li", { class: "more", role: "presentation" }, `${more} more`));
    if (!items.length) items.push(html("li", { class: "more", role: "presentation" }, "Nothing found"));
    this.list.replaceChildren(...items);
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    this.input.setAttribute("aria-activedescendant", open && this.active >= 0 ? items[this.active].id : "");
    this.count.textContent = open ? `${this.hits.length} found` : "";
    if (open) items[this.active]?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const count = Math.min(this.hits.length, MOST);
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count) {
      const by = event.key === "ArrowDown" ? 1 : -1;
      this.active = (this.active + by + count) % count;
      this.show(true);
    } else if (event.key === "Enter" && this.active >= 0) this.take(this.active);
    else if (event.key === "Escape") {
      this.clear();
      this.input.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  take(i) {
    const box = this.hits[i];
    this.close();
    this.choose(box);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.setAttribute("aria-activedescendant", "");
  }

  clear() {
    this.input.value = "";
    this.search();
    this.close();
  }
}

function textOf(box) {
  const facts = (box.facts ?? []).flat();
  const verdict = box.verdict ?? "";
  return [box.name, box.path, box.kind, box.type, verdict, ...box.lines, ...facts]
    .filter(Boolean)
    .join(" ")
    .toLowerCase();
}
