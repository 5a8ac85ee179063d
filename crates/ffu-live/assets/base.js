// The live page is drawn from the events of /events. Whatever comes from there is put in as text, never as markup.
// The files base.js, closer.js and watch.js are sent as one.
"use strict";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") node.className = value;
    else if (key === "onclick") node.addEventListener("click", value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Words, as the terminal has them.

function length(ns) {
  const ms = Math.floor(ns / 1e6);
  if (ms < 10 && ns > 0) return `${(ns / 1e6).toFixed(1)} ms`;
  if (ms < 1000) return `${ms} ms`;
  if (ms < 10000) return `${(Math.floor(ms / 10) / 100).toFixed(2)} s`;
  if (ms < 60000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (ms < 3600000) return `${Math.floor(ms / 60000)} min ${two((ms / 1000) % 60)} s`;
  return `${Math.floor(ms / 3600000)} h ${two((ms / 60000) % 60)} min`;
}

const count = (n) => n.toLocaleString("en-US");
// Short enough for a box of a phone: hours of thousands of targets are billions of probes.
const short = (n) => (n < 1e7 ? count(n) : `${count(Math.round(n / 1e5) / 10)} M`);
const counted = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

function percent(share) {
  const p = share * 100;
  if (!(p > 0)) return "0 %";
  if (p < 0.001) return "< 0.001 %";
  return `${p < 1 ? p.toFixed(3) : p < 99.95 ? p.toFixed(1) : p.toFixed(0)} %`;
}

// Wall clock of an instant of the watch's clock, from the pair (at, now) that comes with everything.
function clock(view, at, fine) {
  const wall = new Date(Date.parse(view.at) - (view.now - at) / 1e6);
  return Number.isNaN(wall.getTime()) ? "?" : wall.toISOString().slice(11, fine ? 21 : 19);
}

function elapsed(ns) {
  const s = Math.max(0, Math.floor(ns / 1e9));
  return [s / 3600, (s / 60) % 60, s % 60].map((n) => String(Math.floor(n)).padStart(2, "0")).join(":");
}
