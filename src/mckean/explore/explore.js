// The explorer: draws what a session answers, and says what its user does.
//
// One module without a build step, for three homes, which differ by their channel alone: a page (a socket), a notebook
// (anywidget), and a recorded run (frames in a page). An answer is MCK1, the length of a header, the header in JSON,
// and arrays of 32-bit floats that the header names.

const STYLE = `
:host { all: initial; display: block; color-scheme: light dark;
  --paper: #fbfbf9; --ink: #1f2a36; --faint: #5d6874; --line: #d5d9dd; --panel: #ffffff;
  --cloud: #0072b2; --limit: #d55e00; --accent: #005a8c;
  font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
@media (prefers-color-scheme: dark) { :host {
  --paper: #12161b; --ink: #e4e8ec; --faint: #9aa5b1; --line: #333b44; --panel: #1a2027;
  --cloud: #56b4e9; --limit: #f0a02c; --accent: #7cc7f2; } }
* { box-sizing: border-box; }
.all { max-width: 1280px; margin: 0 auto; padding: 14px; }
header { display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: baseline; margin-bottom: 10px; }
h1 { font-size: 1.25rem; margin: 0; font-weight: 650; }
h2 { font-size: .92rem; margin: 0 0 6px; font-weight: 600; }
.faint { color: var(--faint); }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .35em;
  background: var(--shade); vertical-align: -.05em; }
.areas { display: grid; gap: 12px; grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
.areas > div { display: grid; gap: 12px; align-content: start; min-width: 0; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; min-width: 0; }
.stage { position: relative; aspect-ratio: 1; max-height: 74vh; margin: 0 auto; }
.stage.wide { aspect-ratio: 2; }
canvas { display: block; width: 100%; }
.stage canvas { position: absolute; inset: 0; height: 100%; }
.law canvas { height: 190px; } .law.square canvas { height: 270px; } .law.globe canvas { height: auto; aspect-ratio: 2; } .series canvas { height: 92px; }
.series figure { margin: 0 0 6px; } figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: .86rem; }
.number { font-variant-numeric: tabular-nums; }
.bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 6px;
  padding: 6px 12px; min-height: 38px; cursor: pointer; }
button:hover { border-color: var(--accent); }
:is(button, input, canvas, textarea):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
label { display: grid; grid-template-columns: minmax(6.5em, 30%) 1fr 4.6em; gap: 8px; align-items: center;
  min-height: 36px; font-size: .92rem; }
label output { text-align: right; font-variant-numeric: tabular-nums; }
input[type=range] { width: 100%; accent-color: var(--accent); min-height: 30px; }
.status { min-height: 1.45em; } .status.bad { color: var(--limit); }
.map canvas { height: 220px; cursor: crosshair; touch-action: manipulation; } .map canvas.old { opacity: .4; }
.map p { margin: 4px 0 0; font-size: .86rem; }
dialog { color: var(--ink); background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  width: min(720px, calc(100vw - 24px)); }
textarea { width: 100%; font: 13px/1.4 ui-monospace, monospace; color: inherit; background: var(--paper);
  border: 1px solid var(--line); border-radius: 6px; padding: 8px; }
[hidden] { display: none !important; }
@media (max-width: 760px) { .areas { grid-template-columns: minmax(0, 1fr); } .all { padding: 8px; }
  .stage { max-height: none; } section { padding: 8px 10px; } }
`;

// Milliseconds without an answer after which the page says why nothing moves.
const PATIENCE = 700;
const NAMES = { environment: "common noise" };
const VIEWS = { circle: 0, line: 1, plane: 2, phase: 2, sphere: 3 };
const VERTEX = `#version 300 es
in vec3 x; uniform int view; uniform vec4 box; uniform vec2 turn; uniform float size; out float depth;
float spread(int i) { return float((uint(i) * 2654435769u) >> 8) / 16777216.0; }
void main() {
  vec2 p; depth = 1.0; float h = spread(gl_VertexID), u = (x.x - box.x) / (box.y - box.x);
  if (view == 0) { float a = 6.283185307 * u; p = (0.66 + 0.26 * h) * vec2(cos(a), sin(a)); }
  else if (view == 1) { p = vec2(2.0 * u - 1.0, 1.8 * h - 0.9); }
  else if (view == 2) { p = vec2(2.0 * u - 1.0, 2.0 * (x.y - box.z) / (box.w - box.z) - 1.0); }
  else {
    float c = cos(turn.x), s = sin(turn.x), k = cos(turn.y), l = sin(turn.y);
    vec3 q = vec3(c * x.x - s * x.y, s * x.x + c * x.y, x.z);
    p = 0.92 * vec2(q.x, k * q.z - l * q.y); depth = k * q.y + l * q.z < 0.0 ? 1.0 : 0.22;
  }
  gl_Position = vec4(p, 0.0, 1.0); gl_PointSize = size;
}`;
const FRAGMENT = `#version 300 es
precision mediump float; uniform vec4 shade; in float depth; out vec4 colour;
void main() { if (length(gl_PointCoord - 0.5) > 0.5) discard; colour = shade; colour.a *= depth; }`;

/** An answer as {header, arrays}. */
export function unpack(buffer) {
  const view = new DataView(buffer), length = view.getUint32(4, true);
  if (view.getUint32(0, true) !== 0x314b434d) throw new Error("this is no answer of the explorer");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const arrays = {};
  let place = 8 + length;
  for (const { name, shape } of header.arrays) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { shape, values: new Float32Array(buffer, place, count) };
    place += 4 * count;
  }
  return { header, arrays };
}

/** The channel of a page: a socket that is opened anew where it is cut off. */
export function socket(url) {
  const channel = { heard: () => {}, changed: () => {}, say, close, open };
  let line = null, wait = 300, closed = false;
  function open() {
    line = new WebSocket(url);
    line.binaryType = "arraybuffer";
    line.onopen = () => { wait = 300; channel.changed("open"); };
    line.onmessage = (event) => channel.heard(event.data);
    line.onclose = (event) => {
      if (closed) return;
      if (event.code === 4001) { channel.changed("taken"); return; }
      channel.changed("lost");
      setTimeout(open, wait);
      wait = Math.min(2 * wait, 5000);
    };
  }
  function say(words) { if (line.readyState === WebSocket.OPEN) line.send(JSON.stringify(words)); }
  function close() { closed = true; line.close(1000); }
  return channel;
}

/** The channel of a notebook. */
function comm(model) {
  const channel = { heard: () => {}, changed: () => {}, say: (words) => model.send(words), close: () => {}, open };
  function listen(message, buffers) {
    const bytes = buffers[0];
    channel.heard(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  }
  function open() { model.on("msg:custom", listen); channel.changed("open"); }
  channel.close = () => model.off("msg:custom", listen);
  return channel;
}

/** The channel of a recorded run: a scene and its frames, in base64. */
export function recorded(answers) {
  const frames = answers.map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const channel = { heard: () => {}, changed: () => {}, say, close: () => {}, open, length: frames.length - 1, place: 0 };
  function open() { channel.changed("open"); }
  function say(words) {
    if (words.do === "hello") return channel.heard(frames[0]);
    channel.place = words.do === "seek" ? words.to : Math.min(channel.place + 1, channel.length);
    channel.heard(frames[channel.place]);
  }
  return channel;
}

/** Draw what a channel answers, in an element. Returns a function that ends it. */
export function mount(element, channel, options = {}) {
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const view = new View(root, channel, options);
  return () => view.close();
}

class View {
  constructor(root, channel, options) {
    Object.assign(this, { root, channel, options, scene: null, frame: null, arrays: {}, series: [], asked: 0 });
    Object.assign(this, { paused: false, turn: [0.5, 0.35], fresh: false, map: null, told: 0, heard: 0, waits: false });
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    channel.heard = (buffer) => this.hear(buffer);
    channel.changed = (state) => this.change(state);
    this.status = make("p", { class: "status faint", role: "status" });
    this.root.replaceChildren(make("div", { class: "all" }, [this.status]));
    this.tick = this.tick.bind(this);
    this.colours = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => { this.fresh = true; };
    this.colours.addEventListener("change", this.repaint);
    this.keys = (event) => this.key(event);
    (options.page ? document : this.root).addEventListener("keydown", this.keys);
    this.goes = () => this.takeState();
    if (options.page) addEventListener("hashchange", this.goes);
    this.tell("Connecting …");
    channel.open();
    this.raf = requestAnimationFrame(this.tick);
  }

  close() {
    cancelAnimationFrame(this.raf);
    this.colours.removeEventListener("change", this.repaint);
    (this.options.page ? document : this.root).removeEventListener("keydown", this.keys);
    removeEventListener("hashchange", this.goes);
    this.channel.close();
  }

  say(words) { this.asked += 1; this.channel.say(words); }

  change(state) {
    this.asked = 0;
    if (state === "open") { this.say({ do: "hello" }); this.tell(""); }
    if (state === "lost") this.tell("The connection is lost; trying again …", true);
    if (state === "taken") {
      const here = make("button", { type: "button" }, ["Show it here"]);
      here.onclick = () => this.channel.open();
      this.tell("Another page shows this session. ", true);
      this.status.append(here);
    }
  }

  hear(buffer) {
    this.asked = Math.max(0, this.asked - 1);
    this.heard = performance.now();
    if (this.waits) { this.waits = false; this.tell(""); }
    const { header, arrays } = unpack(buffer);
    ({ scene: () => this.begin(header), frame: () => this.show(header, arrays), diagram: () => this.chart(header, arrays),
      export: () => this.offer(header), refused: () => this.refuse(header.reason) })[header.kind]?.();
  }

  begin(scene) {
    const first = this.scene === null;
    this.scene = scene;
    this.series = scene.series.map(([t, observed]) => ({ t, ...observed }));
    this.paused = scene.paused;
    this.map = { number: 0 };
    this.build();
    if (first && this.options.page && this.takeState()) return;
    if (first && this.still && !this.paused && !this.channel.length) this.say({ do: "pause", on: true });
    else this.say({ do: "frame" });
    if (first && this.still) this.paused = true;
  }

  // The state that the address names is restored once: a page that is loaded anew shows what has become of it since.
  takeState() {
    const state = location.hash.slice(1);
    if (!state) return false;
    history.replaceState(null, "", location.pathname);
    this.say({ do: "restore", fragment: state });
    return true;
  }

  show(header, arrays) {
    if (this.series.length && header.time < this.series.at(-1).t) this.series = [];
    if (this.series.at(-1)?.t !== header.time) this.series.push({ t: header.time, ...header.observed });
    if (this.series.length > 600) this.series.shift();
    Object.assign(this, { frame: header, arrays, fresh: true });
    if (!this.channel.length) this.paused = header.paused;
    for (const [name, value] of Object.entries(header.values)) this.sliders[name]?.show(value);
    if (header.diagram && this.map.number !== header.diagram) {
      this.map = { ...this.map, number: header.diagram };
      this.say({ do: "diagram" });
    }
    this.chartCanvas.classList.toggle("old", header.diagram === 0);
    if (this.channel.length) this.scrub.value = this.channel.place;
    const notes = Object.values(header.notes);
    this.notes.textContent = [this.scene.note, ...notes].filter(Boolean).join(" ");
  }

  tick() {
    this.raf = requestAnimationFrame(this.tick);
    if (!this.scene) return;
    if (this.channel.length && this.channel.place >= this.channel.length && !this.paused) this.press(true);
    if (!this.paused && this.asked < 2) this.say({ do: "frame" });
    if (this.asked && !this.waits && performance.now() - this.heard > PATIENCE) {
      this.waits = true;
      this.tell("Computing … what is new is compiled first, which takes some seconds.");
    }
    if (!this.fresh || !this.frame) return;
    this.fresh = false;
    this.paint();
  }

  // What is on the page.

  build() {
    const { scene } = this;
    const live = !this.channel.length;
    this.clock = make("span", { class: "number faint" });
    this.rate = make("span", { class: "number" });
    this.notes = make("p", { class: "faint" });
    this.stage = make("div", { class: scene.view === "line" ? "stage wide" : "stage" });
    this.points = make("canvas", { "aria-hidden": "true" });
    this.over = make("canvas", { role: "img", tabindex: scene.view === "sphere" ? "0" : "-1" });
    this.stage.append(this.points, this.over);
    this.law = make("canvas", { role: "img" });
    const curves = Object.entries(scene.curves);
    this.plots = curves.map(([name, label]) => ({ name, label, value: make("span", { class: "number" }),
      canvas: make("canvas", { role: "img" }) }));
    const figures = this.plots.map((plot) => make("figure", {}, [
      make("figcaption", {}, [make("span", {}, [plot.label]), plot.value]), plot.canvas]));
    const flat = (scene.axes.length || 1) === 1, shape = flat ? "law" : scene.view === "sphere" ? "law globe" : "law square";
    this.chartCanvas = make("canvas", { role: "img" });
    this.chartTitle = make("h2");
    this.chartKey = make("p", { class: "faint" });
    this.chartBox = make("section", { class: "map", hidden: "" }, [this.chartTitle, this.chartCanvas, this.chartKey]);
    this.chartCanvas.onclick = (event) => this.click(event);
    const count = `${scene.shown.toLocaleString("en")} of ${scene.particles.toLocaleString("en")} particles`;
    const all = make("div", { class: "all" }, [
      make("header", {}, [make("h1", {}, [scene.name.replaceAll("_", " ")]), this.clock, this.rate,
        make("span", { class: "key cloud" }, [count]), make("span", { class: "key limit" }, ["limit equation"])]),
      make("div", { class: "areas" }, [
        make("div", {}, [make("section", { "aria-label": "Particles" }, [this.stage]), this.controls(live), this.notes]),
        make("div", {}, [
          make("section", { class: shape, hidden: scene.axes.length ? null : "" },
            [make("h2", {}, [flat ? "Law: histogram of the particles, density of the limit" : "Density of the limit"]),
              this.law]),
          make("section", { class: "series", "aria-label": "Over time" }, figures), this.chartBox]),
      ]), this.dialog = make("dialog", { "aria-label": "Export" })]);
    this.root.replaceChildren(all);
    all.querySelector(".cloud").style.setProperty("--shade", "var(--cloud)");
    all.querySelector(".limit").style.setProperty("--shade", "var(--limit)");
    this.painter = painter(this.points, scene.view, scene.bounds);
    this.drag();
    new ResizeObserver(this.repaint).observe(all);
  }

  controls(live) {
    const { scene } = this;
    const button = (text, hint, act) => {
      const made = make("button", { type: "button", title: hint }, [text]);
      made.onclick = act;
      return made;
    };
    this.play = button("Pause", "space", () => this.press(!this.paused));
    const step = button("Step", ".", () => this.say({ do: "step" }));
    const reset = button("Reset", "r", () => this.say({ do: "reset" }));
    const redraw = button("Redraw particles", "n: the same environment", () => this.say({ do: "redraw" }));
    const out = button("Export", "e", () => this.say({ do: "export" }));
    this.acts = live ? { " ": this.play, ".": step, r: reset, n: redraw, e: out } : { " ": this.play };
    const bar = make("div", { class: "bar" }, live ? [this.play, step, reset, redraw, out] : [this.play]);
    this.sliders = {};
    const rows = [];
    for (const p of scene.parameters) {
      const slider = range(NAMES[p.name] ?? p.name.replaceAll("_", " "), p.low, p.high, p.value, !live || p.fixed,
        (value) => this.say({ do: "set", name: p.name, value }));
      this.sliders[p.name] = slider;
      rows.push(slider.row);
    }
    if (live) {
      const pace = range("steps a frame", 1, 50, scene.speed, false, (v) => this.say({ do: "pace", steps: Math.round(v) }), 1);
      rows.push(pace.row);
    } else {
      const row = range("frame", 1, this.channel.length, 1, false, (v) => this.say({ do: "seek", to: Math.round(v) }), 1);
      this.scrub = row.input;
      rows.push(row.row);
    }
    const fixed = live ? [...scene.parameters.filter((p) => p.fixed).map((p) => p.name), ...scene.settings] : [];
    if (fixed.length) rows.push(make("p", { class: "faint" }, [`Set at the start, as another value is another program: ${fixed.join(", ")}.` +
      (this.options.page ? ` --set ${fixed[0].split("[")[0]}=… starts with another.` : "")]));
    return make("section", { "aria-label": "Controls" }, [bar, ...rows, this.status]);
  }

  press(on) {
    if (this.channel.length) {
      if (!on && this.channel.place >= this.channel.length) this.say({ do: "seek", to: 1 });
      this.paused = on;
    } else this.say({ do: "pause", on });
    this.fresh = true;
  }

  key(event) {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === "TEXTAREA" || this.dialog?.open) return;
    if (event.key === " " && target.tagName === "BUTTON") return;
    const act = this.acts?.[event.key];
    if (!act) return;
    event.preventDefault();
    act.click();
  }

  drag() {
    if (this.scene.view !== "sphere") return;
    let from = null;
    this.over.style.touchAction = "pan-y";
    this.over.onpointerdown = (e) => { from = [e.clientX, e.clientY]; this.over.setPointerCapture(e.pointerId); };
    this.over.onpointerup = this.over.onpointercancel = () => { from = null; };
    const turn = (a, b) => {
      this.turn = [this.turn[0] + a, Math.max(-1.5, Math.min(1.5, this.turn[1] + b))];
      this.fresh = true;
    };
    this.over.onpointermove = (e) => {
      if (!from) return;
      turn((e.clientX - from[0]) / 120, (e.clientY - from[1]) / 120);
      from = [e.clientX, e.clientY];
    };
    this.over.onkeydown = (e) => {
      const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[e.key];
      if (by) { e.preventDefault(); turn(...by); }
    };
  }

  click(event) {
    if (!this.map?.axes?.length) return;
    const box = this.chartCanvas.getBoundingClientRect(), [left, right, top, bottom] = MARGIN;
    const u = (event.clientX - box.left - left) / (box.width - left - right);
    const v = 1 - (event.clientY - box.top - top) / (box.height - top - bottom);
    if (u < 0 || u > 1 || v < 0 || v > 1) return;
    [u, v].forEach((w, i) => {
      const axis = this.map.axes[i];
      this.say({ do: "set", name: axis.name, value: axis.low + w * (axis.high - axis.low) });
    });
  }

  chart(header, arrays) {
    if (!header.label) return;
    this.map = { ...header, ...arrays };
    this.chartBox.hidden = false;
    this.chartTitle.textContent = `Phase diagram: ${header.label}; click to go there`;
    const there = (name) => arrays[name].values.some(Number.isFinite);
    this.chartKey.textContent = LINES.filter(([name]) => there(name)).map(([, , words]) => words).join(" ");
    this.fresh = true;
  }

  offer(header) {
    const area = (text, label, rows) => make("textarea", { readonly: "", rows, "aria-label": label }, [text]);
    const parts = [make("h2", {}, ["This state, to the bit"]), area(header.code, "Python", "14")];
    if (header.fragment && this.options.page) {
      const url = new URL(location.href);
      url.hash = header.fragment;
      parts.push(make("h2", {}, ["As an address of this page; what follows the # is for --state of a new start"]),
        area(url.href, "URL", "4"));
    }
    const done = make("button", { type: "button" }, ["Close"]);
    done.onclick = () => this.dialog.close();
    this.dialog.replaceChildren(...parts, done);
    if (!this.dialog.open) this.dialog.showModal();
  }

  refuse(reason) {
    this.tell(reason, true);
    if (!this.frame) this.say({ do: "frame" });
  }

  tell(words, bad = false) {
    this.status.textContent = words;
    this.status.classList.toggle("bad", bad);
    if (bad && this.sliders) for (const [k, v] of Object.entries(this.frame?.values ?? {})) this.sliders[k]?.show(v);
  }

  // Drawing.

  paint() {
    const { frame, arrays, scene } = this, style = getComputedStyle(this.root.host);
    const ink = Object.fromEntries(["paper", "ink", "faint", "line", "panel", "cloud", "limit"]
      .map((name) => [name, style.getPropertyValue("--" + name).trim()]));
    this.play.textContent = this.paused ? "Play" : "Pause";
    this.clock.textContent = `t = ${frame.time.toFixed(2)}`;
    const known = frame.exact.exponent == null ? "" : `, exact ${round(frame.exact.exponent)}`;
    this.rate.textContent = frame.exponent
      ? `λ = ${round(frame.exponent[0])} ± ${round(frame.exponent[1])} per time${known}` : "";
    this.rate.title = "Lyapunov exponent: the growth of a small difference in this environment";
    this.painter(arrays.positions, ink.cloud, this.turn);
    this.outline(sized(this.over), ink);
    if (scene.axes.length === 1) this.profile(sized(this.law), ink);
    else if (arrays.density) this.heat(sized(this.law), arrays.density, ink);
    for (const plot of this.plots) this.plot(plot, ink);
    if (this.map?.values) this.drawMap(sized(this.chartCanvas), ink);
    const now = performance.now();
    if (now - this.told > 1000) { this.told = now; this.describe(); }
  }

  describe() {
    const { frame, scene } = this, r = frame.observed["cloud.order"], s = frame.observed["limit.order"];
    const parts = [`${scene.name} at time ${frame.time.toFixed(2)}`];
    if (r != null) parts.push(`particles ${scene.curves.order}: ${round(r)}`);
    if (s != null) parts.push(`limit: ${round(s)}`);
    if (frame.exact.order != null) parts.push(`exact: ${round(frame.exact.order)}`);
    this.over.setAttribute("aria-label", parts.join(", "));
    this.law.setAttribute("aria-label", "density of the limit, " + parts[0]);
    this.chartCanvas.setAttribute("aria-label", "phase diagram; the sliders move the same parameters");
  }

  outline([pen, width, height], ink) {
    const { scene, arrays } = this, x0 = width / 2, y0 = height / 2, unit = Math.min(width, height) / 2;
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = ink.line;
    pen.lineWidth = 1;
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = ink.faint;
    if (scene.view === "circle") {
      for (const r of [0.64, 0.94]) { pen.beginPath(); pen.arc(x0, y0, r * unit, 0, 7); pen.stroke(); }
      if (!arrays.density) return;
      const rho = arrays.density.values, top = Math.max(...rho);
      pen.beginPath();
      for (let i = 0; i <= rho.length; i++) {
        const k = i % rho.length, a = (2 * Math.PI * k) / rho.length, r = unit * (0.1 + (0.5 * rho[k]) / top);
        pen.lineTo(x0 + r * Math.cos(a), y0 - r * Math.sin(a));
      }
      pen.strokeStyle = ink.limit;
      pen.lineWidth = 2;
      pen.stroke();
      pen.globalAlpha = 0.13;
      pen.fillStyle = ink.limit;
      pen.fill();
      pen.globalAlpha = 1;
    } else if (scene.view === "sphere") {
      pen.beginPath(); pen.arc(x0, y0, 0.92 * unit, 0, 7); pen.stroke();
    } else {
      pen.strokeRect(0.5, 0.5, width - 1, height - 1);
      const [[a, b], second] = scene.bounds;
      pen.fillText(round(a), 6, height - 6);
      pen.textAlign = "right";
      pen.fillText(round(b), width - 6, height - 6);
      pen.textAlign = "left";
      if (second) { pen.fillText((scene.view === "phase" ? "velocity " : "") + round(second[1]), 6, 16); }
      if (scene.view === "line" && arrays.density) this.curve(pen, width, height, ink, arrays.density.values, 0.8);
    }
  }

  // The density of the limit over the box that is drawn.
  curve(pen, width, height, ink, rho, share, bottom = height, top = Math.max(...rho)) {
    const [[lo, hi]] = this.scene.axes, [[a, b]] = this.scene.bounds;
    pen.beginPath();
    rho.forEach((value, i) => {
      const x = lo + ((i + 0.5) * (hi - lo)) / rho.length;
      pen.lineTo((width * (x - a)) / (b - a), bottom - share * height * (value / top));
    });
    pen.strokeStyle = ink.limit;
    pen.lineWidth = 2;
    pen.stroke();
  }

  profile([pen, width, height], ink) {
    pen.clearRect(0, 0, width, height);
    const { arrays, scene } = this, [[a, b]] = scene.bounds, rho = arrays.density?.values, bottom = height - 18;
    let top = rho ? Math.max(...rho) : 0, bars = [];
    const cells = 64;
    if (arrays.positions) {
      const x = arrays.positions.values;
      bars = new Float64Array(cells);
      for (let i = 0; i < x.length; i++) {
        const k = Math.floor((cells * (x[i] - a)) / (b - a));
        if (k >= 0 && k < cells) bars[k] += cells / (x.length * (b - a));
      }
      top = Math.max(top, ...bars);
    }
    pen.fillStyle = ink.cloud;
    pen.globalAlpha = 0.45;
    const tall = (bottom - 6) / (top || 1);
    bars.forEach((v, k) => pen.fillRect((k * width) / cells, bottom - v * tall, width / cells - 1, v * tall));
    pen.globalAlpha = 1;
    if (rho) this.curve(pen, width, bottom - 6, ink, rho, 1, bottom, top);
    pen.strokeStyle = ink.line;
    pen.beginPath(); pen.moveTo(0, bottom); pen.lineTo(width, bottom); pen.stroke();
    pen.fillStyle = ink.faint;
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(round(a), 2, height - 4);
    pen.textAlign = "right";
    pen.fillText(round(b), width - 2, height - 4);
    pen.fillText(`largest ${round(top)}`, width - 2, 14);
    pen.textAlign = "left";
  }

  // A density in two dimensions; on a sphere the pole is at the top, and longitude runs to the right.
  heat([pen, width, height], { shape: [m, n], values }, ink) {
    const sphere = this.scene.view === "sphere", [w, h] = sphere ? [n, m] : [m, n];
    const image = new ImageData(w, h), low = rgb(ink.panel), high = rgb(ink.limit), top = Math.max(...values);
    for (let j = 0; j < h; j++) {
      for (let i = 0; i < w; i++) {
        const value = Math.sqrt(Math.max(0, sphere ? values[j * n + i] : values[i * n + (h - 1 - j)]) / top);
        for (let c = 0; c < 3; c++) image.data[4 * (j * w + i) + c] = low[c] + value * (high[c] - low[c]);
        image.data[4 * (j * w + i) + 3] = 255;
      }
    }
    const small = new OffscreenCanvas(w, h);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.clearRect(0, 0, width, height);
    const side = sphere ? [Math.min(width, 2 * height), Math.min(height, width / 2)] : [Math.min(width, height), Math.min(width, height)];
    pen.drawImage(small, ...this.window(w, h), (width - side[0]) / 2, 0, ...side);
    pen.strokeStyle = ink.line;
    pen.strokeRect((width - side[0]) / 2 + 0.5, 0.5, side[0] - 1, side[1] - 1);
  }

  // The part of an image of the limit's box that the particles are drawn in, so that both have one scale.
  window(w, h) {
    const { view, bounds, axes } = this.scene;
    if (view === "sphere") return [0, 0, w, h];
    const [[a, b], [c, d]] = bounds, [[lo, hi], [bottom, top]] = axes, x = w / (hi - lo), y = h / (top - bottom);
    return [x * (a - lo), y * (top - d), x * (b - a), y * (d - c)];
  }

  plot({ name, label, value, canvas }, ink) {
    const [pen, width, height] = sized(canvas), exact = this.frame.exact[name], rows = this.series;
    pen.clearRect(0, 0, width, height);
    const lines = [["limit", ink.limit, 2], ["cloud", ink.cloud, 1.5]].map(([of, shade, thick]) =>
      ({ of, shade, thick, at: (row) => row[`${of}.${name}`] })).filter(({ at }) => rows.some((row) => at(row) != null));
    const all = lines.flatMap(({ at }) => rows.map(at)).filter((v) => v != null);
    const said = lines.map(({ of, at }) => `${of === "cloud" ? "particles" : "limit"} ${round(at(rows.at(-1) ?? {}), 4)}`);
    value.textContent = said.join(", ") + (exact == null ? "" : `, exact ${round(exact, 4)}`);
    canvas.setAttribute("aria-label", `${label} over time: ${value.textContent}`);
    if (!all.length) return;
    const logs = name === "dissipation" && all.every((v) => v > 0);
    const scale = logs ? Math.log10 : (v) => v;
    let low = Math.min(...all.map(scale)), high = Math.max(...all.map(scale));
    if (exact != null && !logs) { low = Math.min(low, exact); high = Math.max(high, exact); }
    if (high - low < 1e-9) { low -= 0.5; high += 0.5; }
    const t0 = rows[0].t, t1 = Math.max(rows.at(-1).t, t0 + 1e-9), right = width - 58;
    const y = (v) => 6 + ((high - scale(v)) / (high - low)) * (height - 12);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = ink.faint;
    const end = (v) => round(logs ? 10 ** v : v, 4);
    pen.fillText(end(high), right + 6, 12);
    pen.fillText(end(low), right + 6, height - 3);
    if (exact != null && !logs) {
      pen.setLineDash([5, 4]);
      pen.strokeStyle = ink.faint;
      pen.lineWidth = 1.2;
      pen.beginPath(); pen.moveTo(0, y(exact)); pen.lineTo(right, y(exact)); pen.stroke();
      pen.setLineDash([]);
    }
    for (const { at, shade, thick } of lines) {
      pen.strokeStyle = shade;
      pen.lineWidth = thick;
      pen.beginPath();
      for (const row of rows) if (at(row) != null) pen.lineTo(((row.t - t0) / (t1 - t0)) * right, y(at(row)));
      pen.stroke();
    }
  }

  // A line over the second parameter, at the middle of each row.
  border(pen, line, dashes, ink, w, h) {
    const [left, , top] = MARGIN, { low, high } = this.map.axes[0];
    pen.strokeStyle = ink.ink;
    pen.lineWidth = 1.5;
    pen.setLineDash(dashes);
    pen.beginPath();
    let on = false;
    line.forEach((value, j) => {
      const there = Number.isFinite(value);
      if (there) pen[on ? "lineTo" : "moveTo"](left + (w * (value - low)) / (high - low), top + h - (h * (j + 0.5)) / line.length);
      on = there;
    });
    pen.stroke();
    pen.setLineDash([]);
  }

  drawMap([pen, width, height], ink) {
    const { axes, values: { shape: [rows, columns], values } } = this.map, [left, right, top, bottom] = MARGIN;
    const w = width - left - right, h = height - top - bottom, low = rgb(ink.panel), high = rgb(ink.limit);
    const most = Math.max(...[...values].filter(Number.isFinite), 1e-9);
    pen.clearRect(0, 0, width, height);
    values.forEach((v, k) => {
      const share = Math.max(0, v) / most, i = k % columns, j = Math.floor(k / columns);
      pen.fillStyle = Number.isFinite(v) ? `rgb(${low.map((c, q) => c + share * (high[q] - c))})` : ink.line;
      pen.fillRect(left + (i * w) / columns, top + ((rows - 1 - j) * h) / rows, w / columns + 0.6, h / rows + 0.6);
    });
    pen.strokeStyle = ink.line;
    pen.strokeRect(left, top, w, h);
    LINES.forEach(([name, dashes]) => this.border(pen, this.map[name].values, dashes, ink, w, h));
    const place = axes.map((axis) => (this.frame.values[axis.name] - axis.low) / (axis.high - axis.low));
    pen.strokeStyle = ink.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(left + place[0] * w, top + (1 - place[1]) * h, 6, 0, 7);
    pen.stroke();
    pen.fillStyle = ink.faint;
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText(`${axes[0].name.replaceAll("_", " ")}, ${round(axes[0].low)} to ${round(axes[0].high)}`, left + w / 2, height - 4);
    pen.save();
    pen.translate(13, top + h / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(`${axes[1].name.replaceAll("_", " ")}, ${round(axes[1].low)} to ${round(axes[1].high)}`, 0, 0);
    pen.restore();
    pen.textAlign = "left";
  }
}

const MARGIN = [22, 4, 4, 20];
// The lines of a phase diagram: their dashes, and what they are.
const LINES = [["threshold", [], "Solid: the disordered state loses its stability."],
  ["coexistence", [2, 3], "Dotted: both states have the same free energy."],
  ["fold", [7, 4], "Dashed: the ordered state begins."]];

/** What draws the particles: WebGL2, or fewer of them on a plain canvas where there is none. */
function painter(canvas, view, bounds) {
  const box = [...(bounds[0] ?? [0, 1]), ...(bounds[1] ?? [0, 1])];
  const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: false });
  return gl ? webgl(gl, canvas, VIEWS[view], box) : plain(canvas, VIEWS[view], box);
}

function webgl(gl, canvas, kind, box) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, "x");
  gl.linkProgram(program);
  gl.useProgram(program);
  const at = (name) => gl.getUniformLocation(program, name);
  const places = Object.fromEntries(["view", "box", "turn", "size", "shade"].map((name) => [name, at(name)]));
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.enableVertexAttribArray(0);
  gl.enable(gl.BLEND);
  gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.uniform1i(places.view, kind);
  gl.uniform4f(places.box, ...box);
  return (positions, colour, turn) => {
    const scale = fit(canvas);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!positions) return;
    const [n, k] = positions.shape;
    gl.bufferData(gl.ARRAY_BUFFER, positions.values, gl.STREAM_DRAW);
    gl.vertexAttribPointer(0, k, gl.FLOAT, false, 0, 0);
    gl.uniform2f(places.turn, ...turn);
    gl.uniform1f(places.size, scale * pointSize(n));
    gl.uniform4f(places.shade, ...rgb(colour).map((c) => c / 255), opacity(n));
    gl.drawArrays(gl.POINTS, 0, n);
  };
}

function plain(canvas, kind, box) {
  const pen = canvas.getContext("2d");
  return (positions, colour, turn) => {
    fit(canvas);
    const { width, height } = canvas, most = 5000;
    pen.clearRect(0, 0, width, height);
    if (!positions) return;
    const { shape: [n, k], values } = positions, count = Math.min(n, most);
    pen.fillStyle = colour;
    pen.globalAlpha = opacity(count);
    for (let i = 0; i < count; i++) {
      const [x, y] = flat(kind, box, turn, values, i, k);
      pen.fillRect((width * (1 + x)) / 2, (height * (1 - y)) / 2, 2, 2);
    }
  };
}

// The vertex shader's places, for a plain canvas.
function flat(kind, box, turn, values, i, k) {
  const u = (values[i * k] - box[0]) / (box[1] - box[0]), h = (i * 0.6180339887) % 1;
  if (kind === 0) return [Math.cos(2 * Math.PI * u), Math.sin(2 * Math.PI * u)].map((c) => c * (0.66 + 0.26 * h));
  if (kind === 1) return [2 * u - 1, 1.8 * h - 0.9];
  if (kind === 2) return [2 * u - 1, (2 * (values[i * k + 1] - box[2])) / (box[3] - box[2]) - 1];
  const [x, y, z] = values.subarray(i * k, i * k + 3), [c, s] = [Math.cos(turn[0]), Math.sin(turn[0])];
  return [0.92 * (c * x - s * y), 0.92 * (Math.cos(turn[1]) * z - Math.sin(turn[1]) * (s * x + c * y))];
}

const pointSize = (n) => (n > 30000 ? 1.6 : n > 3000 ? 2.4 : 4.5);
const opacity = (n) => (n > 30000 ? 0.22 : n > 3000 ? 0.45 : 0.8);

function fit(canvas) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const [w, h] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  return scale;
}

function sized(canvas) {
  const scale = fit(canvas), pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  return [pen, canvas.clientWidth, canvas.clientHeight];
}

function make(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A slider with its name and value; the page says a value no more often than it is drawn.
function range(name, low, high, value, fixed, said, step = (high - low) / 400) {
  const input = make("input", { type: "range", min: low, max: high, step, "aria-label": name });
  const output = make("output"), row = make("label", {}, [make("span", {}, [name]), input, output]);
  let waits = false, held = 0;
  const show = (v) => {
    if (performance.now() - held < 400) return;
    input.value = v;
    output.textContent = round(Number(v));
  };
  input.disabled = fixed;
  input.value = value;
  output.textContent = round(value);
  input.oninput = () => {
    held = performance.now();
    output.textContent = round(Number(input.value));
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; said(Number(input.value)); });
  };
  return { row, input, show };
}

function round(value, digits = 3) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return String(Number(value.toPrecision(digits)));
}

function rgb(colour) {
  const hex = colour.replace("#", "");
  return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

// A notebook.
export default { render: ({ model, el }) => mount(el, comm(model)) };

// A page of the server.
const page = globalThis.document?.querySelector("main[data-mckean]");
if (page) {
  const url = new URL("socket", location.href);
  url.protocol = "ws:";
  url.hash = "";
  const bare = new CSSStyleSheet();
  bare.replaceSync("body { margin: 0; background: #fbfbf9; } @media (prefers-color-scheme: dark) { body { background: #12161b; } }");
  document.adoptedStyleSheets = [bare];
  mount(page, socket(url.href), { page: true });
}
