// The command line: typing, completion by keyboard and touch, sending.

import { make } from "/page/dom.js";
import { readOrder, suggest } from "/page/completion.js";

const REST = 120; // ms without a key before the bot is asked for values
const MOST = 25;

export class Composer {
  /** `room` has commands(), complete(ask) and send(command, options), both giving promises. */
  constructor(form, room) {
    this.room = room;
    this.input = form.querySelector("#line");
    this.list = form.querySelector("#suggestions");
    this.error = form.querySelector("#composer-error");
    this.suggestions = [];
    this.active = -1;
    this.about = null; // command and option whose values are shown
    this.asked = 0;
    this.sent = [];
    this.recalled = 0;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#enter();
    });
    this.input.addEventListener("input", () => this.#look());
    this.input.addEventListener("focus", () => this.#look());
    this.input.addEventListener("blur", () => this.#offer([]));
    this.input.addEventListener("keydown", (event) => this.#key(event));
  }

  refuse(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
  }

  /** The commands have changed. */
  refresh() {
    if (document.activeElement === this.input) this.#look();
  }

  #look() {
    this.refuse("");
    const found = suggest(this.input.value, this.room.commands());
    const number = (this.asked += 1);
    const about = found.ask ? `${found.ask.command} ${found.ask.option}` : null;
    if (about === null) this.#offer(found);
    else {
      if (about === this.about)
        this.#choose(-1); // what is shown is of what was typed before
      else this.#offer([]);
      setTimeout(() => this.#ask(found, number), REST);
    }
    this.about = about;
  }

  async #ask({ ask, fill }, number) {
    if (number !== this.asked) return;
    const choices = await this.room.complete(ask).catch(() => []);
    if (number === this.asked && document.activeElement === this.input) this.#offer(fill(choices));
  }

  #offer(suggestions) {
    this.suggestions = suggestions.slice(0, MOST);
    this.list.replaceChildren(...this.suggestions.map((each, index) => this.#showSuggestion(each, index)));
    this.list.hidden = suggestions.length === 0;
    this.input.setAttribute("aria-expanded", String(suggestions.length > 0));
    this.#choose(suggestions[0]?.certain ? 0 : -1);
  }

  #showSuggestion(suggestion, index) {
    const take = (event) => {
      event.preventDefault(); // the input keeps the focus
      this.#take(suggestion);
    };
    const marks = (suggestion.marks ?? []).map((mark) => make("span", { class: "mark" }, mark));
    return make(
      "div",
      {
        class: "suggestion",
        role: "option",
        id: `suggestion-${index}`,
        "aria-selected": "false",
        on: { pointerdown: (event) => event.preventDefault(), click: take },
      },
      make("b", {}, suggestion.label),
      marks,
      suggestion.detail && make("span", { class: "muted" }, suggestion.detail),
    );
  }

  #choose(index) {
    this.active = index;
    [...this.list.children].forEach((element, index) => {
      element.setAttribute("aria-selected", String(index === this.active));
      if (index === this.active) element.scrollIntoView({ block: "nearest" });
    });
    if (this.active < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `suggestion-${this.active}`);
  }

  #take(suggestion) {
    this.#write(suggestion.text);
    this.#look();
  }

  #write(text) {
    this.input.value = text;
    this.input.setSelectionRange(text.length, text.length);
    this.input.scrollLeft = this.input.scrollWidth;
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.suggestions.length) {
      const from = this.active < 0 && step < 0 ? 0 : this.active;
      this.#choose((from + step + this.suggestions.length) % this.suggestions.length);
    } else if (step && (this.input.value === "" || this.recalled)) {
      this.#recall(step);
    } else if (event.key === "Tab" && this.suggestions.length && !event.shiftKey) {
      this.#take(this.suggestions[Math.max(this.active, 0)]);
    } else if (event.key === "Escape" && this.suggestions.length) {
      this.#offer([]);
    } else {
      this.recalled = 0;
      return;
    }
    event.preventDefault();
  }

  /** Earlier lines of this visit, newest first. */
  #recall(step) {
    this.recalled = Math.min(Math.max(this.recalled - step, 0), this.sent.length);
    this.#write(this.recalled ? this.sent.at(-this.recalled) : "");
  }

  #enter() {
    if (this.active >= 0) return this.#take(this.suggestions[this.active]);
    if (this.input.value.trim()) this.#send();
  }

  async #send() {
    const text = this.input.value;
    const order = readOrder(text, this.room.commands());
    if (order.error) return this.refuse(order.error);
    this.sent.push(text.trim());
    this.#write("");
    this.#look();
    try {
      await this.room.send(order.command, order.options);
    } catch (error) {
      if (!this.input.value) this.#write(text);
      this.refuse(error.message);
    }
  }
}
