// From the tree that markdown.js makes to elements.

import { linkTo, make, webAddress } from "/page/dom.js";
import { parse, parseLine } from "/page/markdown.js";
import { makeTime } from "/page/times.js";

const TAGS = { strong: "strong", underline: "u", emphasis: "em", strike: "s", item: "li", paragraph: "p" };
const LINE_CLASSES = [
  ["@@", "hunk"],
  ["diff ", "file"],
  ["index ", "file"],
  ["+++", "file"],
  ["---", "file"],
  ["+", "added"],
  ["-", "removed"],
];

/** Text with blocks. `names` is { users, roles, channels, jump }: what mentions and links within the channel mean. */
export function showText(text, names) {
  return parse(text).map((node) => showNode(node, names));
}

/** A single line. */
export function showLine(text, names) {
  return parseLine(text).map((node) => showNode(node, names));
}

function showNode(node, names) {
  const inner = () => node.children.map((child) => showNode(child, names));
  switch (node.kind) {
    case "text":
      return breakable(node.text);
    case "span":
      return make("code", {}, breakable(node.text));
    case "code":
      return showCode(node.text, node.language);
    case "quote":
      return make("blockquote", {}, inner());
    case "heading":
      return make(
        "p",
        { class: `heading heading-${node.level}`, role: "heading", "aria-level": node.level + 2 },
        inner(),
      );
    case "subtext":
      return make("p", { class: "subtext" }, inner());
    case "lists":
      return inner();
    case "list":
      return node.number === null ? make("ul", {}, inner()) : make("ol", { start: node.number }, inner());
    case "time":
      return makeTime(node.seconds, node.form);
    case "mention":
      return make("span", { class: "mention" }, nameOf(node, names));
    case "link":
      return showLink(node.address, inner(), names);
    case "spoiler":
      return showSpoiler(inner());
    default:
      return make(TAGS[node.kind], {}, inner());
  }
}

/** A long name may be parted after `::` or `/`, sooner than anywhere else. */
function breakable(text) {
  return text.split(/(?<=\w(?:::|\/))(?=\w)/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));
}

/** A block of code; a diff with its lines coloured. */
export function showCode(text, language) {
  const lines = language === "diff" ? text.split("\n").map(showDiffLine) : [text];
  return make("pre", { class: "code", tabindex: "0" }, make("code", {}, lines));
}

function showDiffLine(line, index) {
  const kind = LINE_CLASSES.find(([start]) => line.startsWith(start))?.[1];
  const text = index ? `\n${line}` : line;
  return kind ? make("span", { class: `diff-${kind}` }, text) : text;
}

function nameOf(node, names) {
  switch (node.what) {
    case "user":
      return `@${names.users[node.id] ?? "unknown-user"}`;
    case "role":
      return `@${names.roles[node.id] ?? "unknown-role"}`;
    case "channel":
      return `#${names.channels[node.id] ?? "unknown"}`;
    default:
      return `/${node.id}`;
  }
}

function showLink(address, children, names) {
  const href = webAddress(address);
  if (href === null) return make("span", {}, children);
  const message = names.findMessage(href);
  if (message === null) return linkTo(href, children);
  const jump = (event) => {
    event.preventDefault();
    names.jump(message);
  };
  return make("a", { href: `#message-${message}`, on: { click: jump } }, children);
}

function showSpoiler(children) {
  const reveal = (event) => {
    event.currentTarget.setAttribute("aria-expanded", "true");
  };
  return make(
    "button",
    { class: "spoiler", type: "button", "aria-expanded": "false", on: { click: reveal } },
    children,
  );
}
