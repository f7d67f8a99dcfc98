// One message as Discord shows it.

import { linkTo, make, webAddress } from "/page/dom.js";
import { headline } from "/page/channel.js";
import { showEmbed } from "/page/embed.js";
import { showAttachment } from "/page/files.js";
import { showText } from "/page/show.js";
import { makeTime, showSent } from "/page/times.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger" };
const LINK = 5;

/** `room` is what the page around it knows and does: see main.js. */
export function showMessage(message, room) {
  const names = room.names();
  return make(
    "article",
    {
      class: message.ephemeral_to === null ? "message" : "message ephemeral",
      id: `message-${message.id}`,
      "data-id": message.id,
      "aria-label": `${message.author}: ${headline(message)}`,
    },
    make(
      "p",
      { class: "day", "aria-hidden": "true" },
      new Date(message.created * 1000).toLocaleDateString(undefined, { dateStyle: "long" }),
    ),
    showOrigin(message, room),
    make(
      "span",
      { class: message.bot ? "avatar bot" : "avatar", "aria-hidden": "true" },
      message.bot ? "" : message.author[0],
    ),
    showHead(message),
    make(
      "div",
      { class: "body" },
      showBody(message, room, names),
      showThread(message, room),
      showPrivate(message, room),
    ),
  );
}

/** Whose order it answers, or which message. Of a button its label is told: what it stood on was edited since. */
function showOrigin(message, room) {
  if (message.asked_by && message.command) {
    const command = make("span", { class: "mention" }, `/${message.command}`);
    return make("p", { class: "origin" }, make("b", {}, message.asked_by), " used ", command);
  }
  const answered = message.reply_to && room.find(message.reply_to);
  if (!answered) return null;
  const jump = (event) => {
    event.preventDefault();
    room.jump(answered.id);
  };
  const words = message.asked_by ? message.pressed || "a button" : headline(answered);
  const link = make("a", { href: `#message-${answered.id}`, on: { click: jump } }, words);
  const who = make("b", {}, message.asked_by ?? answered.author);
  return make("p", { class: "origin" }, who, message.asked_by ? " pressed " : " ", link);
}

function showHead(message) {
  const tag = message.bot && make("span", { class: "tag" }, "APP");
  const time = makeTime(message.created, "F");
  time.textContent = showSent(message.created);
  return make(
    "p",
    { class: "head" },
    make("b", { class: message.bot ? "author bot" : "author" }, message.author),
    tag,
    time,
  );
}

function showBody(message, room, names) {
  if (message.thinking) {
    const dots = make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
    return make("p", { class: "thinking" }, dots, ` ${message.author} is thinking…`);
  }
  const files = new Map(message.attachments.map((each) => [each.filename, each.url]));
  const used = message.embeds.flatMap((embed) => [embed.image?.url, embed.thumbnail?.url]);
  const loose = message.attachments.filter((each) => !used.includes(`attachment://${each.filename}`));
  const edited = message.edits > 0 && make("span", { class: "edited" }, "(edited)");
  return [
    message.content && make("div", { class: "content markdown" }, showText(message.content, names), edited),
    loose.map(showAttachment),
    message.embeds.map((embed) => showEmbed(embed, files, names)),
    !message.content && edited,
    message.components.map((row) => showRow(row, message, room)),
  ];
}

function showRow(row, message, room) {
  return make(
    "div",
    { class: "row" },
    (row.components ?? [row]).map((each) => showButton(each, message, room)),
  );
}

function showButton(component, message, room) {
  const label = [component.emoji?.name, component.label].filter(Boolean).join(" ") || "button";
  if (component.style === LINK) {
    const address = webAddress(component.url ?? "");
    const link = address && linkTo(address, label, " ↗");
    link?.setAttribute("class", "button secondary");
    return link;
  }
  const busy = room.isBusy(message.id, component.custom_id);
  const style = STYLES[component.style] ?? "secondary";
  const attributes = {
    class: busy ? `button ${style} busy` : `button ${style}`,
    type: "button",
    "data-focus": `button ${component.custom_id}`,
    disabled: component.disabled === true || busy,
    "aria-busy": busy ? "true" : null,
    on: { click: () => room.press(message, component.custom_id) },
  };
  return make("button", attributes, label);
}

function showThread(message, room) {
  const thread = room.threadOf(message.id);
  if (!thread) return null;
  const count = room.count(thread.id);
  const words = count === 1 ? "1 message" : `${count} messages`;
  const open = () => room.openThread(thread.id);
  return make(
    "button",
    { class: "thread-chip", type: "button", "data-focus": `thread ${thread.id}`, on: { click: open } },
    make("b", {}, thread.name),
    make("span", { class: "thread-count" }, `${words} ›`),
  );
}

function showPrivate(message, room) {
  if (message.ephemeral_to === null) return null;
  const dismiss = make(
    "button",
    { class: "text-button", type: "button", on: { click: () => room.dismiss(message.id) } },
    "Dismiss message",
  );
  return make("p", { class: "private" }, "Only you can see this • ", dismiss);
}
