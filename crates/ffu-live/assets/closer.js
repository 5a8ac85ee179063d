
// A closer look at one target; it follows what happens while it is open.

let open = null;

async function openTarget(number) {
  open = number;
  await drawCloser();
}

async function drawCloser() {
  const number = open;
  if (number === null) return;
  let target;
  try {
    const answer = await fetch(`api/target/${number}`);
    if (!answer.ok) throw new Error(await answer.text());
    target = await answer.json();
  } catch (error) {
    put($("c-name"), "cannot be shown");
    $("c-body").replaceChildren(String(error.message));
    if (!$("closer").open) $("closer").showModal();
    return;
  }
  if (open !== number) return;
  const t = target.totals;
  put($("c-name"), target.name);
  const groups = Object.entries(target.groups).map(([key, value]) => `${key} ${value}`).join(", ");
  const outages = target.outages.map((outage, place) => {
    const ns = (outage.end ?? target.now) - outage.begin;
    const until = outage.end === null ? "still out" : `until ${clock(target, outage.end, true)}`;
    const blind = outage.partly_blind ? ", partly not seen" : "";
    const steps = target.during[place].length ? el("div", { class: "soft" }, `during ${target.during[place].join(", ")}`) : "";
    const head = el("div", {}, el("b", {}, length(ns)), ` from ${clock(target, outage.begin, true)}, ${until}, ${count(outage.lost)} lost${blind}`);
    return el("li", {}, head, steps);
  });
  const older = t.outages - target.outages.length;
  $("c-body").replaceChildren(
    el("p", {}, `${target.probed}, `, el("span", target.out ? { class: "bad" } : {}, target.set_aside ? "set aside" : target.out ? "OUT" : "up")),
    el("p", { class: "soft" }, groups),
    el("p", {}, `${count(t.lost)} of ${count(t.probes)} probes lost (${t.probes ? percent(t.lost / t.probes) : "–"}), longest ${length(t.longest_gap)}, together ${length(t.worst_total)}`),
    el("p", {}, `round trip p50 ${length(t.latency.p50)}, p95 ${length(t.latency.p95)}, p99 ${length(t.latency.p99)}, max ${length(t.latency.max)}`),
    el("p", {}, `${counted(t.broken_streams, "broken stream")}, ${counted(t.restarts, "restart")}, ${count(t.unsent)} unsent, ${count(t.duplicates)} duplicates, ${count(t.reordered)} reordered`),
    el("h2", {}, counted(t.outages, "outage") + (older > 0 ? `, ${count(older)} older not kept` : "")),
    el("ul", {}, ...outages.reverse()),
  );
  if (!$("closer").open) $("closer").showModal();
}
