// Making elements: html() and svg() take attributes, listeners (onclick: …) and children.

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Whether things may move by themselves.
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// A small picture on a button: a path in a square of 16.
export function glyph(path) {
  const picture = svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16 }, svg("path", { d: path }));
  return html("span", { class: "glyph", "aria-hidden": "true" }, picture);
}
