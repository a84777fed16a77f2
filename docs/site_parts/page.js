"use strict";
(() => {
  const root = document.documentElement;
  const remember = { get: () => { try { return localStorage.theme; } catch { return undefined; } }, set: (v) => { try { localStorage.theme = v; } catch { /* a browser that keeps nothing */ } } };
  if (remember.get()) root.dataset.theme = remember.get();
  document.getElementById("theme").onclick = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember.set(root.dataset.theme);
  };
  document.getElementById("menu").onclick = () => document.querySelector("nav").classList.toggle("open");
  const open = () => { for (let e = document.getElementById(decodeURIComponent(location.hash.slice(1))); e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true; };
  addEventListener("hashchange", open); open();
  const nav = document.querySelector("nav"), current = nav.querySelector("[aria-current]");
  if (current) nav.scrollTop = current.offsetTop - nav.clientHeight / 2;
  const parts = [...document.querySelectorAll(".toc a")].map((a) => [a, document.getElementById(decodeURIComponent(a.hash.slice(1)))]);
  const follow = () => {
    const at = parts.filter(([, heading]) => heading && heading.getBoundingClientRect().top < 120).pop();
    for (const [a] of parts) a.classList.toggle("here", a === at?.[0]);
    if (at) { const box = at[0].parentElement, top = at[0].offsetTop - box.clientHeight / 2; if (Math.abs(box.scrollTop - top) > box.clientHeight / 3) box.scrollTop = top; }
  };
  if (parts.length) { addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true }); follow(); }
  for (const heading of document.querySelectorAll("main :is(h2, h3)[id]")) {
    const link = document.createElement("a");
    link.className = "to"; link.href = `#${heading.id}`; link.textContent = "#"; link.setAttribute("aria-label", "Link to this");
    heading.append(link);
  }
  if (navigator.clipboard) for (const pre of document.querySelectorAll("main pre:not(.output)")) {
    const button = document.createElement("button"), code = pre.querySelector("code");
    button.className = "copy"; button.textContent = "Copy";
    button.onclick = async () => { await navigator.clipboard.writeText(code.innerText.trimEnd()); button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
    pre.append(button);
  }
  const box = document.getElementById("search"), list = document.getElementById("results"), base = document.body.dataset.base;
  let index = null; // read when somebody searches
  const read = () => (index ??= new Promise((done) => {
    const script = document.createElement("script");
    script.src = `${base}index.js`; script.onload = done;
    document.head.append(script);
  }));
  const plain = (text) => text.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
  const has = (text, word) => { // 2: a word begins so; 1: somewhere within
    let at = text.indexOf(word);
    const within = at >= 0;
    while (at > 0 && /[a-z0-9]/.test(text[at - 1])) at = text.indexOf(word, at + 1);
    return at >= 0 ? 2 : within ? 1 : 0;
  };
  const score = ([address, title, about], words) => {
    const name = title.toLowerCase(), last = name.split(".").pop(), parts = plain(title), text = about.toLowerCase();
    let sum = 0;
    for (const w of words) {
      const s = name === w || name.endsWith(`.${w}`) ? 20 : last.startsWith(w) ? 10 : has(parts, w) * 3 || has(name, w) * 2 || has(text, w) * 1.5;
      if (!s) return 0;
      sum += s;
    }
    return sum + (address.startsWith("api/") ? 1 - name.split(".").length / 10 : 1.5); // guides first, then what is nearest to the top
  };
  const around = (text, words) => {
    const at = Math.max(0, ...words.map((w) => text.toLowerCase().indexOf(w)));
    return at > 90 ? `… ${text.slice(at - 40, at + 120)}` : text.slice(0, 160);
  };
  const search = async () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean), seen = new Set();
    await read();
    const scored = words.length ? INDEX.map((e) => [score(e, words), e]).filter((p) => p[0]).sort((a, b) => b[0] - a[0]) : [];
    const found = scored.filter(([, e]) => !seen.has(e[0]) && seen.add(e[0])).slice(0, 20); // doors name the same again
    list.replaceChildren(...found.map(([, e]) => {
      const item = document.createElement("li"), link = document.createElement("a"), more = document.createElement("small");
      link.href = base + e[0]; link.textContent = e[1].replace(/^tinygrad_cnn\./, ""); const top = INDEX.find((o) => o[0].split("#")[0] === e[0].split("#")[0]), where = e[0].startsWith("api/") || top === e ? "" : `${top[1].replace("Derive the rule: ", "").split(":")[0]} · `;
      more.textContent = where + around(e[2] || (INDEX.find((o) => o[0] === e[0] && o[2]) ?? e)[2], words); link.append(more); item.append(link);
      return item;
    }));
    if (words.length && !found.length) { const none = document.createElement("li"); none.textContent = "nothing found"; none.style.padding = ".5rem .8rem"; list.append(none); }
  };
  box.onfocus = read;
  box.oninput = search;
  const close = () => { box.value = ""; list.replaceChildren(); box.blur(); };
  list.onclick = (event) => { if (event.target.closest("a")) close(); };
  addEventListener("keydown", async (event) => {
    const typing = document.activeElement.isContentEditable, links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (event.key === "/" && document.activeElement !== box && !typing) { event.preventDefault(); box.focus(); }
    if (event.key === "Escape") close();
    if (event.key === "Enter" && document.activeElement === box) { await search(); list.querySelector("a")?.click(); }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (at >= 0 || document.activeElement === box)) {
      event.preventDefault();
      (links[at + (event.key === "ArrowDown" ? 1 : -1)] ?? box).focus();
    }
  });
})();
