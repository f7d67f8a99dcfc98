// What the bot asks before it answers, as Discord shows it: a title, texts to type, Cancel and Submit.

import { make } from "/page/dom.js";

const LABELLED = 18;
const SHORT = 1;
const TYPED = 4000; // what Discord takes at most

export class Dialogue {
  /** `element` is a <dialog>: the browser keeps the focus in it and closes it by Escape. */
  constructor(element) {
    this.element = element;
  }

  /** Shows it. `send(fields)` gives a promise of why it stays open, "" = it was answered; `closed` is called once it is
   * gone. */
  ask(dialogue, send, closed) {
    const fields = dialogue.components.flatMap(readFields);
    const inputs = fields.map(makeInput);
    const error = make("p", { class: "composer-error", role: "alert", hidden: true });
    const cancel = make("button", { class: "button secondary", type: "button" }, "Cancel");
    const submit = make("button", { class: "button primary", type: "submit" }, "Submit");
    const form = make(
      "form",
      {},
      make("h2", { id: "dialogue-title" }, dialogue.title),
      fields.map((field, index) => showField(field, inputs[index], index)),
      error,
      make("div", { class: "dialogue-buttons" }, cancel, submit),
    );
    cancel.addEventListener("click", () => this.element.close());
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      const refused = await send(Object.fromEntries(inputs.map((input) => [input.name, input.value])));
      submit.disabled = false;
      error.textContent = refused;
      error.hidden = !refused;
      if (!refused) this.element.close();
    });
    this.element.addEventListener("close", closed, { once: true });
    this.element.replaceChildren(form);
    this.element.showModal();
    inputs[0]?.focus();
  }
}

function readFields(part) {
  if (part.type === LABELLED) return [{ ...part.component, label: part.label, description: part.description }];
  return part.components ?? [];
}

function makeInput(field, index) {
  const attributes = {
    id: `dialogue-${index}`,
    name: field.custom_id,
    class: "dialogue-input",
    placeholder: field.placeholder,
    required: field.required !== false,
    minlength: field.min_length,
    maxlength: field.max_length ?? TYPED,
    "aria-describedby": field.description ? `dialogue-about-${index}` : null,
  };
  const input =
    field.style === SHORT ? make("input", { ...attributes, type: "text" }) : make("textarea", { ...attributes, rows: 4 });
  input.value = field.value ?? "";
  return input;
}

function showField(field, input, index) {
  const mark = input.required && make("span", { class: "dialogue-required", "aria-hidden": "true" }, " *");
  return make(
    "div",
    { class: "dialogue-field" },
    make("label", { for: input.id }, field.label, mark),
    field.description && make("p", { class: "muted", id: `dialogue-about-${index}` }, field.description),
    input,
  );
}
