// The panel beside the channel: whatever the sandbox's owner put there, as data.

import { make } from "/page/dom.js";

const STYLES = ["primary", "secondary", "success", "danger"];

export class PanelView {
  /** `press(id)` gives a promise of what came of it. */
  constructor(element, toggle, press) {
    this.element = element;
    this.toggle = toggle;
    this.press = press;
    this.panel = null;
    this.busy = new Set();
    this.said = make("p", { class: "panel-said", role: "status" });
    toggle.addEventListener("click", () => this.#open(!element.classList.contains("open")));
    element.addEventListener("keydown", (event) => event.key === "Escape" && this.#open(false));
  }

  show(panel) {
    if (panel === this.panel) return;
    this.panel = panel;
    this.#draw();
  }

  open() {
    this.#open(true);
  }

  #open(open) {
    this.element.classList.toggle("open", open);
    this.toggle.setAttribute("aria-expanded", String(open));
    (open ? this.element.querySelector("button") : this.toggle)?.focus({ preventScroll: true });
  }

  #draw() {
    const { panel, element } = this;
    element.hidden = this.toggle.hidden = panel === null;
    if (panel === null) return element.replaceChildren();
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const scrolled = element.scrollTop;
    const close = make(
      "button",
      {
        class: "close",
        type: "button",
        "aria-label": "Close the panel",
        "data-focus": "close",
        on: { click: () => this.#open(false) },
      },
      "✕",
    );
    const head = make("header", { class: "bar" }, make("h2", { id: "panel-title" }, panel.title), close);
    element.replaceChildren(
      head,
      make("p", { class: "panel-text" }, panel.text),
      this.said,
      ...panel.groups.map((group) => this.#showGroup(group)),
    );
    element.scrollTop = scrolled;
    if (focused)
      [...element.querySelectorAll("[data-focus]")]
        .find((each) => each.dataset.focus === focused)
        ?.focus({ preventScroll: true });
  }

  #showGroup(group) {
    const items = group.items.map((item) => this.#showItem(item));
    return make(
      "section",
      {},
      make("h3", {}, group.title),
      group.note && make("p", { class: "muted" }, group.note),
      items.length > 0 && make("ul", { class: "items" }, items),
    );
  }

  #showItem(item) {
    const words = make(
      "div",
      { class: "item-words" },
      make("b", {}, item.label),
      item.detail && make("span", { class: "muted" }, item.detail),
    );
    return make(
      "li",
      {},
      words,
      make(
        "div",
        { class: "item-buttons" },
        item.buttons.map((button) => this.#showButton(button, item)),
      ),
    );
  }

  #showButton(button, item) {
    const style = STYLES.includes(button.style) ? button.style : "secondary";
    const attributes = {
      class: `button small ${style}`,
      type: "button",
      title: button.hint || null,
      "aria-label": `${button.label}: ${item.label}`,
      "data-focus": button.id,
      disabled: this.busy.has(button.id),
      on: { click: () => this.#act(button.id) },
    };
    return make("button", attributes, button.label);
  }

  async #act(id) {
    this.busy.add(id);
    this.#draw();
    try {
      this.#say(await this.press(id), false);
    } catch (error) {
      this.#say(error.message, true);
    }
    this.busy.delete(id);
    this.#draw();
  }

  #say(words, refused) {
    this.said.textContent = words;
    this.said.classList.toggle("refused", refused);
  }
}
