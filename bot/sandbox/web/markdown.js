// The markdown that Discord has, from text to a tree of plain values: { kind, … } with `text` or `children`.
// Nothing here touches the page; show.js makes elements of the tree.

const DEEPEST = 16; // spans in spans; what is deeper stays text

const FENCE = /```(?:([a-z0-9_+\-.#]+)\n)?\n*([^\n][^]*?)\n*```/iy;
const QUOTE_REST = />>> ([^]*)/y;
const QUOTE = /(?:> [^\n]*(?:\n|$))+/y;
const HEADING = /(#{1,3}) +([^\n]+)(?:\n|$)/y;
const SUBTEXT = /-# +([^\n]+)(?:\n|$)/y;
const LIST = /(?: *(?:[-*]|\d{1,9}\.) +[^\n]+(?:\n|$)(?: +(?![-*] |\d{1,9}\. )[^\s][^\n]*(?:\n|$))*)+/y;
const LIST_LINE = /^( *)([-*]|\d{1,9}\.) +(.*)$/;
const LINE = /[^\n]*?(?=```)|[^\n]*(?:\n|$)/y;

/** A message's text or an embed's description. */
export function parse(text) {
  const blocks = [];
  let words = "";
  const end = (next) => {
    if (words.trim()) blocks.push({ kind: "paragraph", children: parseSpans(next ? words.replace(/\n$/, "") : words) });
    words = "";
    if (next) blocks.push(next);
  };
  let at = 0;
  while (at < text.length) {
    const starts = at === 0 || text[at - 1] === "\n";
    const [block, length] = (starts && findBlock(text, at)) || findFence(text, at) || [null, 0];
    if (block) {
      end(block);
      at += length;
      if (block.kind === "code" && text[at] === "\n") at += 1;
    } else {
      const line = match(LINE, text, at)?.[0] || text[at];
      words += line;
      at += line.length;
    }
  }
  end(null);
  return blocks;
}

/** One line of it: a title, the name of a field. */
export function parseLine(text) {
  return parseSpans(text);
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function findFence(text, at) {
  const found = match(FENCE, text, at);
  return found && [{ kind: "code", language: found[1] ?? "", text: found[2] }, found[0].length];
}

function findBlock(text, at) {
  let found = match(QUOTE_REST, text, at);
  if (found) return [{ kind: "quote", children: parse(found[1]) }, found[0].length];
  found = match(QUOTE, text, at);
  if (found) {
    const inner = found[0].replace(/^> /gm, "").replace(/\n$/, "");
    return [{ kind: "quote", children: parse(inner) }, found[0].length];
  }
  found = match(HEADING, text, at);
  if (found) return [{ kind: "heading", level: found[1].length, children: parseSpans(found[2]) }, found[0].length];
  found = match(SUBTEXT, text, at);
  if (found) return [{ kind: "subtext", children: parseSpans(found[1]) }, found[0].length];
  found = match(LIST, text, at);
  if (!found) return null;
  const lines = [];
  for (const line of found[0].trimEnd().split("\n")) {
    const item = LIST_LINE.exec(line);
    if (item) lines.push(item);
    else lines.at(-1)[3] += `\n${line.trimStart()}`; // an indented line goes on with the item above it
  }
  return [{ kind: "lists", children: parseLists(lines) }, found[0].length];
}

/** Lines that are indented more than the first belong to the item above them; a number after a bullet begins another
 * list. */
function parseLists(lines) {
  const lists = [];
  for (let at = 0; at < lines.length;) {
    const [, indent, mark, text] = lines[at];
    let end = at + 1;
    while (end < lines.length && lines[end][1].length > indent.length) end += 1;
    const item = { kind: "item", children: [...parseSpans(text), ...parseLists(lines.slice(at + 1, end))] };
    const number = /\d/.test(mark) ? Number.parseInt(mark, 10) : null;
    const last = lists.at(-1);
    if (last && (last.number === null) === (number === null)) last.children.push(item);
    else lists.push({ kind: "list", number, children: [item] });
    at = end;
  }
  return lists;
}

// In the order in which they are tried at each place.
const SPANS = [
  [/\\([^0-9A-Za-z\s])/y, (found) => ({ kind: "text", text: found[1] })],
  [/(`+)([^]*?[^`])\1(?!`)/y, (found) => ({ kind: "span", text: found[2].replace(/^ (?=`)|(?<=`) $/g, "") })],
  [
    /<t:(-?\d{1,13})(?::([tTdDfFR]))?>/y,
    (found) => ({ kind: "time", seconds: Number(found[1]), form: found[2] ?? "f" }),
  ],
  [/<@!?(\d{1,20})>/y, (found) => ({ kind: "mention", what: "user", id: found[1] })],
  [/<@&(\d{1,20})>/y, (found) => ({ kind: "mention", what: "role", id: found[1] })],
  [/<#(\d{1,20})>/y, (found) => ({ kind: "mention", what: "channel", id: found[1] })],
  [/<\/([-\w]{1,32}(?: [-\w]{1,32}){0,2}):\d{1,20}>/y, (found) => ({ kind: "mention", what: "command", id: found[1] })],
  [/<a?(:\w{2,32}:)\d{1,20}>/y, (found) => ({ kind: "text", text: found[1] })],
  [/<(https?:\/\/[^\s<>]+)>/y, (found) => ({ kind: "link", address: found[1], children: [textOf(found[1])] })],
  [
    /\[((?:\\.|[^[\]\\\n]|\[[^\]\n]*\])+)\]\(<?(https?:\/\/[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+"[^"\n]*")?\)/y,
    (found, deep) => (found[1].includes("://") ? null : { kind: "link", address: found[2], children: deep(found[1]) }),
  ],
  [
    /https?:\/\/[^\s<\]]+[^<.,:;"'\])\s]/y,
    (found) => ({ kind: "link", address: found[0], children: [textOf(found[0])] }),
  ],
  [/\*\*((?:\\[^]|[^\\])+?)\*\*(?!\*)/y, (found, deep) => ({ kind: "strong", children: deep(found[1]) })],
  [/__((?:\\[^]|[^\\])+?)__(?!_)/y, (found, deep) => ({ kind: "underline", children: deep(found[1]) })],
  [
    /\b_((?:__|\\[^]|[^\\_])+?)_\b|\*(?=\S)((?:\*\*|\\[^]|\s+(?:\\[^]|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)/y,
    (found, deep) => ({ kind: "emphasis", children: deep(found[1] ?? found[2]) }),
  ],
  [/~~([^]+?)~~/y, (found, deep) => ({ kind: "strike", children: deep(found[1]) })],
  [/\|\|([^]+?)\|\|/y, (found, deep) => ({ kind: "spoiler", children: deep(found[1]) })],
];
const SPECIAL = /[\\`<[*_~|]|https?:\/\//g;

function textOf(text) {
  return { kind: "text", text };
}

function parseSpans(text, depth = 0) {
  if (depth > DEEPEST) return [textOf(text)];
  const deep = (inner) => parseSpans(inner, depth + 1);
  const found = [];
  let plain = "";
  let at = 0;
  while (at < text.length) {
    const [node, length] = findSpan(text, at, deep) ?? [null, 0];
    if (node) {
      if (plain) found.push(textOf(plain));
      plain = "";
      found.push(node);
      at += length;
    } else {
      const next = findSpecial(text, at + 1);
      plain += text.slice(at, next);
      at = next;
    }
  }
  if (plain) found.push(textOf(plain));
  return found;
}

function findSpan(text, at, deep) {
  for (const [pattern, build] of SPANS) {
    const found = match(pattern, text, at);
    const node = found && build(found, deep);
    if (node) return [node, found[0].length];
  }
  return null;
}

function findSpecial(text, at) {
  SPECIAL.lastIndex = at;
  return SPECIAL.exec(text)?.index ?? text.length;
}
