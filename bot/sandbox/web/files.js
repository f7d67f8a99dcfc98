// Attachments: pictures shown, texts with their first lines, anything else to be saved.

import { make, sizeOf } from "/page/dom.js";
import { showCode } from "/page/show.js";

const PICTURE = /\.(png|jpe?g|gif|webp)$/i;
const TEXT = /\.(txt|log|diff|patch|json|md)$/i;
const FIRST_LINES = 6;
const MOST = 100_000; // characters that are shown here; the rest is in the file
const texts = new Map(); // address -> promise of the text
const expanded = new Set(); // addresses

/** The path on this machine, whatever name of it the page was opened by; null for anything that is no attachment. */
export function pathOf(address) {
  try {
    const { pathname } = new URL(address, location.origin);
    return pathname.startsWith("/cdn/attachments/") ? pathname : null;
  } catch {
    return null;
  }
}

export function isPicture(filename) {
  return PICTURE.test(filename);
}

export function showAttachment(attachment) {
  const path = pathOf(attachment.url);
  if (path === null) return null;
  if (isPicture(attachment.filename)) return showPicture(path, attachment.filename);
  return TEXT.test(attachment.filename) ? showTextFile(path, attachment) : showHead(path, attachment);
}

export function showPicture(path, name) {
  const image = make("img", { src: path, alt: name, loading: "lazy" });
  return make(
    "a",
    { class: "picture", href: path, target: "_blank", rel: "noopener", "aria-label": `Open ${name}` },
    image,
  );
}

function showHead(path, { filename, size }) {
  return make("div", { class: "file" }, make("div", { class: "file-head" }, nameLink(path, filename), sizeLabel(size)));
}

function nameLink(path, filename) {
  return make("a", { href: path, target: "_blank", rel: "noopener", class: "file-name" }, filename);
}

function sizeLabel(size) {
  return make("span", { class: "muted" }, sizeOf(size));
}

function showTextFile(path, { filename, size }) {
  const body = make("div", { class: "file-text" }, make("p", { class: "muted" }, "…"));
  const toggle = make("button", { class: "text-button", type: "button", "data-focus": `file ${path}`, hidden: true });
  const language = /\.(diff|patch)$/i.test(filename) ? "diff" : "";
  load(path).then((text) => {
    const draw = () => {
      const open = expanded.has(path);
      const lines = text.split("\n");
      const more = lines.length - FIRST_LINES;
      body.replaceChildren(showCode((open ? lines : lines.slice(0, FIRST_LINES)).join("\n"), language));
      toggle.hidden = more <= 0;
      toggle.setAttribute("aria-expanded", String(open));
      toggle.textContent = open ? "Show less" : `Show ${more} more ${more === 1 ? "line" : "lines"}`;
    };
    toggle.addEventListener("click", () => {
      expanded[expanded.has(path) ? "delete" : "add"](path);
      toggle.dispatchEvent(new CustomEvent("unfolded", { bubbles: true }));
      draw();
    });
    draw();
  });
  const head = make("div", { class: "file-head" }, nameLink(path, filename), sizeLabel(size), toggle);
  return make("div", { class: "file" }, head, body);
}

function load(path) {
  if (!texts.has(path)) texts.set(path, read(path));
  return texts.get(path);
}

async function read(path) {
  try {
    const response = await fetch(path);
    if (!response.ok) throw new TypeError(`${response.status}`);
    const text = (await response.text()).replace(/\n$/, "");
    return text.length > MOST ? `${text.slice(0, MOST)}\n… the rest is in the file` : text;
  } catch {
    texts.delete(path);
    return "The file cannot be read.";
  }
}
