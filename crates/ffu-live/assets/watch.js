
// The parts of the page.

let latest = null;
let query = "";

function draw(view) {
  latest = view;
  const verdict = $("verdict");
  put(verdict, view.verdict);
  verdict.dataset.verdict = view.verdict;
  verdict.title = view.verdict_says;
  put($("phase"), view.phase || "");
  put($("elapsed"), elapsed(view.now - view.began));
  put($("run"), view.run ? `run ${view.run}` : "no run is watched");
  document.title = `${view.verdict === "go" ? "" : "⚠ "}ffu watch: ${view.verdict}, ${view.totals.out} out`;
  drawBreaches(view);
  drawSums(view);
  drawTimeline(view);
  drawSteps(view);
  drawGroups(view);
  if (!query) drawTargets(view.targets, view.targets_all, view.targets_all);
  drawAbout(view);
}

// Text is set only if it changed, so that screen readers are told of changes alone.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A part is made anew only if what it shows changed.
const shown = new Map();
function changed(part, value) {
  const text = JSON.stringify(value);
  if (shown.get(part) === text) return false;
  shown.set(part, text);
  return true;
}

function drawBreaches(view) {
  if (!changed("breaches", view.breaches)) return;
  const make = (breach) => {
    const title = `Breach ${breach.number} of ${breach.budget}: `;
    const where = el("p", {});
    breach.targets.forEach(([number, name], place) => {
      where.append(place ? ", " : "", el("button", { type: "button", onclick: () => openTarget(number) }, name));
    });
    where.append(breach.more ? ` and ${count(breach.more)} more` : "", ` since ${clock(view, breach.since, true)}`);
    if (breach.steps.length) where.append(`, during ${breach.steps.join(", ")}`);
    where.append(el("span", { class: "soft" }, `; ${breach.origin}`));
    const node = el("div", { class: breach.acknowledged ? "breach over" : "breach" });
    node.append(el("p", {}, el("b", {}, title), breach.says), where);
    if (breach.commands.length) {
      const next = el("p", {}, "Type ");
      breach.commands.forEach(([command, does], place) => {
        next.append(place ? " or " : "", el("code", {}, command), ` (${does})`);
      });
      node.append(next);
    }
    return node;
  };
  const nodes = view.breaches.filter((breach) => !breach.acknowledged).map(make);
  const over = view.breaches.filter((breach) => breach.acknowledged).map(make);
  if (over.length) {
    const before = $("breaches").querySelector("details");
    const summary = el("summary", {}, `${over.length} acknowledged: ${over.map((node) => node.firstChild.textContent).join("; ")}`);
    const details = el("details", {}, summary, ...over);
    details.open = before !== null && before.open;
    nodes.push(details);
  }
  $("breaches").replaceChildren(...nodes);
}

function drawSums(view) {
  const t = view.totals;
  const figures = [
    ["targets", count(t.targets)],
    ["out now", count(t.out), t.out > 0],
    ["probes", short(t.probes)],
    ["lost", short(t.lost), t.lost > 0],
    ["of the probes", t.probes ? percent(t.lost / t.probes) : "–"],
    ["outages", count(t.outages)],
    ["longest", length(t.longest_gap), t.longest_gap > 0],
    ["round trip p50", length(t.latency.p50)],
    ["round trip p99", length(t.latency.p99)],
  ];
  const list = $("sums");
  if (list.children.length !== figures.length) {
    list.replaceChildren(...figures.map(([name]) => el("div", {}, el("dt", {}, name), el("dd", {}))));
  }
  figures.forEach(([, value, bad], place) => {
    const node = list.children[place].lastChild;
    put(node, value);
    node.className = bad ? "bad" : "";
  });
}

function drawTimeline(view) {
  const plot = $("plot");
  const width = Math.max(300, plot.clientWidth);
  const narrow = width < 600;
  const left = narrow ? 66 : 84;
  const right = width - 6;
  const [top, base, lane] = [8, 128, 16];
  const from = view.timeline.length ? view.timeline[0].from : view.began;
  const span = Math.max(1, view.now - from);
  const x = (at) => left + ((right - left) * Math.min(Math.max(at - from, 0), span)) / span;
  const share = (bucket) => (bucket.probes ? Math.min(1, bucket.lost / bucket.probes) : 0);
  const most = view.timeline.reduce((most, bucket) => Math.max(most, share(bucket)), 0.001);
  const phases = [...new Set(view.steps.map((step) => step.mark.phase))];
  // Room for all phases of a run is kept from the start, so that nothing below moves.
  const bottom = base + 10 + lane * Math.max(7, phases.length);
  const height = bottom + 20;
  const label = (text, y) => svg("text", { x: left - 6, y, "text-anchor": "end" }, text);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
  root.setAttribute("aria-label", `Lost probes over time, at most ${percent(most)}, with ${phases.length} phases of steps`);
  const ticks = narrow ? 2 : 4;
  for (let place = 0; place <= ticks; place++) {
    const at = from + (span / ticks) * place;
    const anchor = place === 0 ? "start" : place === ticks ? "end" : "middle";
    root.append(svg("line", { class: "rule", x1: x(at), x2: x(at), y1: top, y2: bottom }));
    root.append(svg("text", { x: x(at), y: height - 5, "text-anchor": anchor }, clock(view, at)));
  }
  root.append(label(percent(most), top + 8), label("0 %", base));
  let path = `M${left} ${base}`;
  view.timeline.forEach((bucket, place) => {
    const next = view.timeline[place + 1];
    const y = base - (share(bucket) / most) * (base - top);
    path += `L${x(bucket.from).toFixed(1)} ${y.toFixed(1)}H${x(next ? next.from : view.now).toFixed(1)}`;
  });
  root.append(svg("path", { class: "loss", d: `${path}V${base}Z` }));
  root.append(svg("line", { class: "axis", x1: left, x2: right, y1: base, y2: base }));
  phases.forEach((phase, place) => {
    root.append(label(phase.length > 11 ? `${phase.slice(0, 10)}…` : phase, base + 21 + lane * place));
  });
  for (const step of view.steps) {
    const mark = step.mark;
    const [begin, end] = [x(mark.begin), x(mark.end ?? view.now)];
    const words = `${mark.step}, ${length((mark.end ?? view.now) - mark.begin)}, ${count(step.lost)} lost`;
    const y = base + 12 + lane * phases.indexOf(mark.phase);
    const shape = { x: begin, y, width: Math.max(1.5, end - begin), height: lane - 4 };
    root.append(svg("rect", { class: `step ${lossy(step)}`, ...shape }, svg("title", {}, words)));
  }
  plot.replaceChildren(root);
}

// What a step lost: nothing, what the baseline's noise explains, or more.
function lossy(step) {
  if (!step.lost) return "";
  return step.confidence && step.confidence.origin === "noise" ? "noisy" : "lossy";
}

// Those that run, then the costly, then the latest: at most six.
function drawSteps(view) {
  const rank = (step) => (step.mark.end === null ? 2 : step.lost > 0 ? 1 : 0);
  const steps = view.steps.map((step, place) => [step, place]);
  steps.sort(([a, m], [b, n]) => rank(b) - rank(a) || n - m);
  const nodes = steps.slice(0, 6).map(([step]) => {
    const mark = step.mark;
    const running = mark.end === null;
    const cost = step.lost
      ? `${count(step.lost)} lost, ${counted(step.targets, "target")}, longest ${length(step.longest_gap)}; ${step.origin || ""}`
      : "no loss";
    const small = el("small", lossy(step) === "lossy" ? { class: "bad" } : {}, cost);
    const took = `${running ? "running " : ""}${length((mark.end ?? view.now) - mark.begin)}`;
    return el("li", {}, el("span", { class: "name", title: mark.step }, `${running ? "▶ " : ""}${mark.step}`), el("span", {}, took), small);
  });
  if (!nodes.length) nodes.push(el("li", {}, "no step yet"));
  $("steps").replaceChildren(...nodes);
}

function drawGroups(view) {
  const select = $("key");
  const keys = [...new Set(view.groups.map((group) => group.key))];
  if (changed("keys", keys)) {
    const before = select.value;
    select.replaceChildren(...keys.map((key) => el("option", { value: key }, key)));
    if (keys.includes(before)) select.value = before;
    else if (keys.includes("network")) select.value = "network";
  }
  const groups = view.groups.filter((group) => group.key === select.value);
  if (!changed("groups", groups)) return;
  const nodes = groups.map((group) => el(
    "li", {},
    el("span", { class: "name", title: `${group.value}: ${counted(group.targets, "target")}` }, group.value),
    el("span", { class: group.out ? "n bad" : "n" }, `${count(group.out)} out`),
    el("span", { class: group.lost ? "n bad" : "n" }, `${count(group.lost)} lost`),
    spark(group.spark),
  ));
  $("groups").replaceChildren(...nodes);
}

function spark(levels) {
  const root = svg("svg", { viewBox: `0 0 ${levels.length * 3} 16`, preserveAspectRatio: "none", "aria-hidden": "true" });
  root.append(svg("line", { class: "axis", x1: 0, x2: levels.length * 3, y1: 15.5, y2: 15.5 }));
  levels.forEach((level, place) => {
    if (level > 0) root.append(svg("rect", { class: "loss", x: place * 3, width: 2.4, y: 15 - level * 2, height: level * 2 }));
  });
  return root;
}

// Rows are kept by target, so that what has the keyboard's focus stays what it is. While the list is pointed at or in focus its
// order rests.
const rows = new Map();
let listed = "";

function drawTargets(targets, found, all) {
  const body = $("rows");
  const resting = listed === query && (body.matches(":hover") || body.contains(document.activeElement));
  listed = query;
  for (const target of targets) {
    if (!rows.has(target.target) && !(resting && rows.size)) rows.set(target.target, targetRow(target));
    const row = rows.get(target.target);
    if (row) fillRow(row, target);
  }
  if (!resting || !body.children.length) {
    const keep = new Set(targets.map((target) => target.target));
    for (const id of [...rows.keys()]) if (!keep.has(id)) rows.delete(id);
    const order = targets.map((target) => rows.get(target.target));
    if (order.some((row, place) => body.children[place] !== row) || body.children.length !== order.length) {
      body.replaceChildren(...order);
    }
  }
  const text = query
    ? `${count(found)} found${found > targets.length ? `, the worst ${targets.length} shown` : ""}`
    : `${count(targets.length)} of ${count(all)} shown`;
  put($("shown"), text + (resting && body.children.length ? "; order rests while you are in the list" : ""));
}

function targetRow(target) {
  const name = el("button", { type: "button", onclick: () => openTarget(target.target) }, target.name);
  const cells = [el("td", {}, name), el("td"), el("td", { class: "n" }), el("td", { class: "n wide" })];
  return el("tr", {}, ...cells, el("td", { class: "n" }), el("td", { class: "wide" }));
}

function fillRow(row, target) {
  const cells = row.children;
  put(cells[1], target.set_aside ? "aside" : target.out ? "OUT" : "up");
  cells[1].className = target.out ? "bad" : "soft";
  put(cells[2], count(target.lost));
  put(cells[3], count(target.outages));
  put(cells[4], length(target.longest_gap));
  put(cells[5], target.probed);
}

function drawAbout(view) {
  const base = view.baseline;
  const list = [
    `A probe of each target every ${view.interval_ms} ms.`,
    `Targets: ${view.sample || "all that the targets file names"}.`,
    base
      ? `Baseline: ${length(base.to - base.from)}, ${count(base.lost)} of ${count(base.probes)} probes lost, longest ${length(base.longest_gap)}.`
      : "Baseline: not complete yet.",
    ...view.remarks.map((remark) => `Remark: ${remark}`),
  ];
  if (changed("about", list)) $("about").replaceChildren(...list.map((text) => el("li", {}, text)));
}

// The server searches, because the page has the worst targets only.

let pause = null;

async function search() {
  const wanted = $("search").value.trim();
  query = wanted;
  if (!wanted) {
    if (latest) drawTargets(latest.targets, latest.targets_all, latest.targets_all);
    return;
  }
  try {
    const answer = await fetch(`api/targets?q=${encodeURIComponent(wanted)}`);
    if (!answer.ok) throw new Error(await answer.text());
    const found = await answer.json();
    if (query === wanted) drawTargets(found.targets, found.found, latest ? latest.targets_all : found.found);
  } catch (error) {
    put($("shown"), `the search failed: ${error.message}`);
  }
}

function state(text, bad) {
  put($("live"), text);
  $("live").toggleAttribute("data-bad", bad);
}

function follow() {
  const events = new EventSource("events");
  let told = 0;
  events.addEventListener("snapshot", (event) => {
    const view = JSON.parse(event.data);
    if (!view) return;
    draw(view);
    state(`live, ${clock(view, view.now)} UTC`, false);
    // What is looked at besides is asked for anew every two seconds.
    if (Date.now() - told > 2000) {
      told = Date.now();
      if (query) search();
      if ($("closer").open) drawCloser();
    }
  });
  events.addEventListener("end", () => {
    events.close();
    state("the watch has ended; these are its last figures", false);
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) {
      // The browser has given up (an answer that is no stream): it is asked again.
      state("no connection, trying again", true);
      setTimeout(follow, 5000);
    } else {
      state("connection lost, trying again", true);
    }
  });
}

$("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(search, 200);
});
$("key").addEventListener("change", () => latest && drawGroups(latest));
$("closer").addEventListener("close", () => { open = null; });
addEventListener("resize", () => latest && drawTimeline(latest));
follow();
