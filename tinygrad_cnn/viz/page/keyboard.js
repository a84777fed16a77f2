// Keys: of the whole page where it is ours, else while the focus is in the drawing's section.

export function listen(target, actions) {
  target.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const at = event.composedPath()[0];
    const typing = at instanceof Element && at.matches("input[type=search], textarea, [contenteditable]");
    const sliding = at instanceof Element && at.matches("input[type=range]");
    if (typing) return;
    if (sliding && event.key.startsWith("Arrow")) return;
    const pressing = at instanceof Element && at.matches("button, summary, a");
    if (pressing && (event.key === "Enter" || event.key === " ")) return;
    const action = actions[event.key];
    if (action && action(event) !== false) event.preventDefault();
  });
}

// The nearest box in the direction of an arrow key; boxes that lie straight ahead come first.
export function neighbour(places, from, direction) {
  const [dx, dy] = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[
    direction
  ];
  const middle = ({ x, y, w, h }) => [x + w / 2, y + h / 2];
  const [fx, fy] = middle(from);
  let best = null;
  let least = Infinity;
  for (const place of places) {
    const [x, y] = middle(place);
    const ahead = (x - fx) * dx + (y - fy) * dy;
    if (ahead < 2) continue;
    const off = Math.abs(dy ? x - fx : y - fy);
    // Boxes that overlap, seen in the direction, are straight ahead.
    const gap = Math.max(0, off - (dy ? from.w + place.w : from.h + place.h) / 2);
    const cost = ahead + 3 * gap + 0.3 * off;
    if (cost < least) [best, least] = [place, cost];
  }
  return best;
}
