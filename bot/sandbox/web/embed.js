// Embeds, as Discord shows them.

import { make, linkTo, webAddress } from "/page/dom.js";
import { pathOf, showPicture } from "/page/files.js";
import { showLine, showText } from "/page/show.js";
import { makeTime } from "/page/times.js";

/** `files`: filename -> address of the message's attachments, for `attachment://…`. */
export function showEmbed(embed, files, names) {
  const text = make(
    "div",
    { class: "embed-text" },
    embed.author?.name && make("p", { class: "embed-author" }, embed.author.name),
    embed.title && showTitle(embed, names),
    embed.description && make("div", { class: "embed-description markdown" }, showText(embed.description, names)),
    showFields(embed.fields ?? [], names),
    showImage(embed.image, files),
    showFooter(embed),
  );
  const shown = make("div", { class: "embed" }, text, showImage(embed.thumbnail, files, "thumbnail"));
  if (Number.isInteger(embed.color))
    shown.style.setProperty("--colour", `#${embed.color.toString(16).padStart(6, "0")}`);
  return shown;
}

function showTitle(embed, names) {
  const words = showLine(embed.title, names);
  const address = webAddress(embed.url ?? "");
  return make("h3", { class: "embed-title" }, address ? linkTo(address, words) : words);
}

/** Inline fields that follow each other stand side by side, as many as there is room for. */
function showFields(fields, names) {
  const groups = [];
  for (const field of fields) {
    if (field.inline && groups.at(-1)?.inline) groups.at(-1).fields.push(field);
    else groups.push({ inline: field.inline, fields: [field] });
  }
  return groups.map((group) =>
    make(
      "dl",
      { class: group.inline ? "fields inline" : "fields" },
      group.fields.map((field) => showField(field, names)),
    ),
  );
}

function showField(field, names) {
  const value = make("dd", { class: "markdown" }, showText(field.value, names));
  return make("div", { class: "field" }, make("dt", {}, showLine(field.name, names)), value);
}

function showImage(image, files, kind = "") {
  if (!image?.url) return null;
  const own = pathOf(files.get(image.url.replace("attachment://", "")) ?? image.url);
  if (own !== null)
    return make("div", { class: `embed-image ${kind}` }, showPicture(own, decodeURIComponent(own.split("/").at(-1))));
  const address = webAddress(image.url);
  return address && make("p", { class: "muted" }, linkTo(address, "a picture elsewhere"));
}

function showFooter(embed) {
  const words = embed.footer?.text;
  const moment = Date.parse(embed.timestamp ?? "") / 1000;
  if (!words && Number.isNaN(moment)) return null;
  const time = Number.isNaN(moment) ? null : makeTime(moment, "f");
  return make("p", { class: "embed-footer" }, words, words && time && " • ", time);
}
