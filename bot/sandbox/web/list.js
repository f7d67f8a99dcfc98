// A list of messages that is brought in line with what there is: unchanged ones keep their elements, so that what a
// person has opened, selected or focused stays.

import { make } from "/page/dom.js";

const NEAR = 60; // pixels from the end that still count as being there
const TOGETHER = 420; // seconds within which messages of one author stand under one head
const SHOWN = 100; // messages at first, and more with each wish for earlier ones

export class MessageList {
  /** `render(message)` makes an element; `moved(atEnd)` is told where the reader is. */
  constructor(element, render, moved = () => {}) {
    this.element = element;
    this.render = render;
    this.items = new Map();
    this.following = true;
    this.limit = SHOWN;
    this.blank = make("div", { class: "blank" });
    this.said = null; // what stands in it
    this.earlier = make(
      "button",
      { class: "button earlier", type: "button", on: { click: () => this.#showMore() } },
      "Show earlier messages",
    );
    element.addEventListener("scroll", () => moved(this.#look()), { passive: true });
    element.addEventListener("unfolded", () => (this.following = false)); // what was opened to be read stays in sight
    this.growth = new ResizeObserver(() => this.following && this.toEnd());
    this.growth.observe(element);
  }

  /** `key(message)` changes when the message has to be drawn anew. Says whether something was added below. */
  show(messages, key) {
    this.shown = [messages, key];
    this.#look();
    const visible = messages.slice(-this.limit);
    const before = this.items;
    const added = visible.length > 0 && before.size > 0 && !before.has(visible.at(-1).id);
    this.items = new Map(
      visible.map((message) => [message.id, this.#keep(before.get(message.id), message, key(message))]),
    );
    this.#place(messages.length > visible.length);
    this.#group(visible);
    if (this.following) this.toEnd();
    return added;
  }

  /** Words instead of messages, until there are some; drawn anew only where they changed. */
  say(words, show = () => [words]) {
    if (this.said !== words) this.blank.replaceChildren(...show().filter(Boolean));
    this.said = words;
    if (!this.items.size) this.element.replaceChildren(this.blank);
  }

  /** And stays there while more comes. */
  toEnd() {
    this.following = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  clear() {
    this.items = new Map();
    this.following = true;
    this.limit = SHOWN;
    this.element.replaceChildren();
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    if (this.items.size) this.following = scrollHeight - scrollTop - clientHeight < NEAR;
    return this.following;
  }

  #showMore() {
    const fromEnd = this.element.scrollHeight - this.element.scrollTop;
    this.limit += SHOWN;
    this.show(...this.shown);
    this.element.scrollTop = this.element.scrollHeight - fromEnd;
  }

  #keep(item, message, key) {
    if (item && item.message === message && item.key === key) return item;
    const element = this.render(message);
    this.growth.observe(element);
    if (item) {
      this.growth.unobserve(item.element);
      replaceKeepingFocus(item.element, element);
    }
    return { message, key, element };
  }

  #place(hasEarlier) {
    if (!this.items.size && this.blank.isConnected) return;
    const wanted = [...(hasEarlier ? [this.earlier] : []), ...[...this.items.values()].map((item) => item.element)];
    for (const element of [...this.element.children]) if (!wanted.includes(element)) element.remove();
    wanted.forEach((element, index) => {
      const there = this.element.children[index];
      if (there !== element) this.element.insertBefore(element, there ?? null);
    });
  }

  #group(messages) {
    messages.forEach((message, index) => {
      const previous = messages[index - 1];
      const day = (each) => new Date(each.created * 1000).toDateString();
      const { classList } = this.items.get(message.id).element;
      const sameDay = previous !== undefined && day(previous) === day(message);
      const own = message.asked_by || message.reply_to || !sameDay;
      const joins = !own && previous.author === message.author && message.created - previous.created < TOGETHER;
      classList.toggle("joined", joins && !previous.asked_by);
      classList.toggle("new-day", previous !== undefined && !sameDay);
    });
  }
}

/** A button that was focused is so again where the new element has it too. */
function replaceKeepingFocus(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  const id = focused?.dataset.focus;
  if (id) [...fresh.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === id)?.focus();
}
