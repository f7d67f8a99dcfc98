// What is known of the channel: the stream's lines put together. Values are replaced, never changed.

import { showTime } from "/page/times.js";

const TIME = /<t:(-?\d{1,13})(?::([tTdDfFR]))?>/g;

export class Channel {
  constructor() {
    this.forget();
  }

  forget() {
    this.place = { guild: "", channel: "", name: "spirit-healer", bot: "", people: [], users: {}, roles: {} };
    this.ready = false;
    this.commands = [];
    this.panel = null;
    this.threads = new Map();
    this.messages = new Map();
  }

  /** One line; the first of a connection is everything. */
  take(changes, first) {
    if (first) this.forget();
    for (const name of ["place", "ready", "commands", "panel"]) if (name in changes) this[name] = changes[name];
    for (const thread of changes.threads ?? []) this.threads.set(thread.id, thread);
    for (const message of changes.messages ?? []) this.messages.set(message.id, message);
    for (const id of changes.gone ?? []) {
      this.messages.delete(id);
      this.threads.delete(id);
    }
  }

  /** Of the channel itself (`thread` null) or of a thread, oldest first, as this person sees it. */
  list(thread, user, dismissed) {
    return [...this.messages.values()].filter(
      (message) => message.thread === thread && isSeenBy(message, user) && !dismissed.has(message.id),
    );
  }

  /** What markdown needs to show names and to find messages of ours behind Discord's addresses. */
  names(jump) {
    const channels = { [this.place.channel]: this.place.name };
    for (const thread of this.threads.values()) channels[thread.id] = thread.name;
    return {
      users: this.place.users,
      roles: this.place.roles,
      channels,
      jump,
      findMessage: (href) => this.#find(href),
    };
  }

  #find(href) {
    const [guild, , message] = /^https:\/\/discord\.com\/channels\/(\d+)\/(\d+)\/(\d+)$/.exec(href)?.slice(1) ?? [];
    return guild === this.place.guild ? message : null;
  }
}

function isSeenBy(message, user) {
  return message.ephemeral_to === null || message.ephemeral_to === user;
}

/** The first line that says what a message is about. */
export function headline(message) {
  const text = message.embeds[0]?.title || message.content || message.embeds[0]?.description || "";
  const line = text.split("\n")[0].replace(TIME, (_, seconds, form) => showTime(Number(seconds), form ?? "f"));
  return line.replace(/\\(?=[^\w\s])|[*`]/g, "") || "a message";
}
