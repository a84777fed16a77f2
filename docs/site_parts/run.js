"use strict";
/* Run buttons: a page's blocks run in the order in which they stand, in one Python that the page keeps. */
(() => {
  const base = document.body.dataset.base;
  const packed = {};
  RUNTIME.take = (name, text) => { packed[name] = text; };
  const script = (name) => new Promise((done, failed) => {
    const tag = document.createElement("script");
    tag.src = `${base}run/${name}.js`;
    tag.onload = () => { tag.remove(); done(); };
    tag.onerror = () => failed(new Error(`${name} cannot be read`));
    document.head.append(tag);
  });
  const unpacked = async (name) => {
    if (!packed[name]) await script(name);
    const bytes = Uint8Array.from(atob(packed[name]), (c) => c.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  };

  let worker = null, ready = null, answer = null, current = null;
  const blocks = [...document.querySelectorAll("pre.python")].map((pre, i) => new Block(pre, i + 1));

  function start() {
    ready ??= (async () => {
      current.status("Loading Python, once a page …");
      const names = [...RUNTIME.files, ...RUNTIME.wheels, "worker.js"];
      const files = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await unpacked(n)])));
      worker = new Worker(URL.createObjectURL(new Blob([files["worker.js"]], { type: "text/javascript" })));
      worker.onmessage = ({ data }) => {
        if (data.kind === "status") current?.status(data.text);
        else if (data.kind === "print") current?.print(data.text);
        else answer?.(data);
      };
      worker.onerror = (event) => { event.preventDefault(); answer?.({ kind: "broken", text: event.message || "the worker ended" }); };
      return ask({ files, wheels: RUNTIME.wheels });
    })();
    return ready;
  }
  const ask = (message) => new Promise((done, failed) => {
    answer = (data) => (data.kind === "broken" ? failed(new Error(data.text)) : done(data));
    worker.postMessage(message);
  });

  function stop(said, wrong = "") {
    worker?.terminate();
    worker = ready = answer = null;
    for (const block of blocks) block.ran = false;
    current?.finish(wrong, said);
    current = null;
  }

  async function runTo(last) {
    if (current) return;
    const todo = blocks.filter((b) => b === last || (b.number < last.number && !b.ran));
    for (const block of todo) {
      current = block;
      block.begin();
      try {
        await start();
        if (current !== block) return;
        block.status("Running …");
        const from = performance.now();
        const result = await ask({ code: block.code.innerText, block: block.number });
        if (current !== block) return;
        block.ran = !result.wrong;
        block.finish(result.wrong ?? "", `${((performance.now() - from) / 1000).toFixed(1)} s`);
        result.files.forEach((file) => block.show(file));
        current = null;
        if (result.wrong) return;
      } catch (error) {
        if (current === block) stop("", `Python could not run here: ${error.message}`);
        return;
      }
    }
  }

  function Block(pre, number) {
    this.number = number;
    this.ran = false;
    this.code = pre.querySelector("code");
    try { this.code.contentEditable = "plaintext-only"; } catch { this.code.contentEditable = "true"; } // older browsers
    this.code.spellcheck = false;
    this.code.oninput = () => { for (const b of blocks) if (b.number >= number) b.ran = false; };
    const bar = document.createElement("div"), button = document.createElement("button"), said = document.createElement("span");
    const out = document.createElement("pre"), shown = document.createElement("div");
    const recorded = pre.nextElementSibling?.matches("pre.output") ? pre.nextElementSibling : null;
    bar.className = "run"; out.className = "output live"; out.hidden = true; said.setAttribute("role", "status");
    button.textContent = "Run"; button.title = "Run this block, and those above it that have not run";
    if (number === 1) said.textContent = "Runs in this page. Change the code as you like; Ctrl+Enter runs it too.";
    bar.append(button, said);
    pre.after(bar, out, shown);
    button.onclick = () => (current === this ? stop("Stopped. What the blocks computed is gone; Run begins again.") : runTo(this));
    this.code.onkeydown = (event) => { if (event.key === "Enter" && (event.shiftKey || event.ctrlKey)) { event.preventDefault(); runTo(this); } event.stopPropagation(); };
    this.status = (text) => { said.textContent = text; };
    this.begin = () => { button.textContent = "Stop"; bar.classList.add("busy"); out.replaceChildren(); shown.replaceChildren(); out.hidden = true; };
    this.print = (text) => { out.hidden = false; if (recorded) recorded.hidden = true; out.append(text); };
    this.finish = (wrong, note) => {
      button.textContent = "Run"; bar.classList.remove("busy"); said.textContent = note;
      if (!wrong) return;
      const text = document.createElement("span");
      text.className = "wrong"; text.textContent = wrong;
      this.print(""); out.append(text);
    };
    this.show = ({ name, bytes }) => {
      const kinds = { html: "text/html", svg: "image/svg+xml", png: "image/png" }, kind = kinds[name.split(".").pop()];
      const address = URL.createObjectURL(new Blob([bytes], { type: kind ?? "application/octet-stream" }));
      const link = document.createElement("a");
      link.href = address; link.download = name; link.textContent = `${name}, ${bytes.length.toLocaleString("en")} bytes`;
      shown.append(link);
      if (!kind) return;
      const view = document.createElement(kind === "text/html" ? "iframe" : "img");
      view.title = view.alt = name;
      if (kind === "text/html") { view.sandbox = "allow-scripts"; view.srcdoc = new TextDecoder().decode(bytes); } else view.src = address;
      shown.append(view);
    };
  }
})();
