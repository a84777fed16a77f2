"use strict";
/* Python in a worker of its own, so that a page stays alive and a run can be ended. Everything that Pyodide asks for
   is in `files`: nothing is fetched. */
let python, run;
const show = (kind, text) => postMessage({ kind, text });
const scripts = (bytes) => URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));

const PREAMBLE = `
import ast, linecache, os, sys, sysconfig, traceback

def packages():
    return sysconfig.get_path("purelib")

def prepare():
    import tqdm
    tqdm.tqdm.monitor_interval = 0  # there are no threads here
    os.makedirs("/home/pyodide/page", exist_ok=True)
    os.chdir("/home/pyodide/page")

names = {"__name__": "__main__"}

def run(code, block):
    """Run a block; return what went wrong, as Python says it."""
    name = f"<block {block}>"
    linecache.cache[name] = len(code), None, code.splitlines(True), name
    try:
        exec(compile(code, name, "exec"), names)
    except BaseException as error:
        own = error.__traceback__.tb_next
        return "".join(traceback.format_exception(type(error), error, own)).rstrip()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()

seen = {}

def written():
    """Return the files that are new or changed."""
    found = {}
    for name in sorted(os.listdir()):
        if os.path.isfile(name):
            state = os.stat(name)
            now = state.st_size, state.st_mtime_ns
            if seen.get(name) != now:
                found[name] = seen[name] = now
    return list(found)
`;

async function begin({ files, wheels }) {
  const index = "https://runtime.invalid/";
  const kinds = { wasm: "application/wasm", json: "application/json" };
  self.fetch = async (address) => {
    const name = decodeURIComponent(String(address.url ?? address).split("/").pop());
    if (!files[name]) throw new TypeError(`${name} is not part of this site`);
    return new Response(files[name], { headers: { "Content-Type": kinds[name.split(".").pop()] ?? "application/octet-stream" } });
  };
  const settings = { indexURL: index, packageBaseUrl: index };
  if (files["pyodide.asm.js"]) importScripts(scripts(files["pyodide.asm.js"]));
  // Pages opened as files have no workers that are modules, and newer versions refuse others: they try importScripts.
  self.importScripts = () => { throw new TypeError("there are modules"); };
  if (files["pyodide.asm.mjs"]) settings.createPyodideModule = (await import(scripts(files["pyodide.asm.mjs"]))).default;
  const { loadPyodide } = await import(scripts(files["pyodide.mjs"]));
  show("status", "Starting Python …");
  python = await loadPyodide(settings);
  const printed = () => { const text = new TextDecoder(); return { write: (bytes) => { show("print", text.decode(bytes, { stream: true })); return bytes.length; } }; };
  python.setStdout(printed());
  python.setStderr(printed());
  show("status", "Loading NumPy …");
  await python.loadPackage("numpy", { messageCallback() {} });
  const space = python.toPy({});
  python.runPython(PREAMBLE, { globals: space });
  const extractDir = space.get("packages")();
  for (const name of wheels) python.unpackArchive(files[name], "wheel", { extractDir });
  space.get("prepare")();
  run = { block: space.get("run"), written: space.get("written") };
}

onmessage = async ({ data }) => {
  try {
    if (data.files) { await begin(data); show("ready"); return; }
    const wrong = run.block(data.code, data.block);
    const files = run.written().toJs().map((name) => ({ name, bytes: python.FS.readFile(name) }));
    postMessage({ kind: "done", wrong, files });
  } catch (error) {
    show("broken", String(error?.message ?? error));
  }
};
