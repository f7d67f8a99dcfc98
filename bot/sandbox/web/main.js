// Puts the page together: the stream changes what is known of the channel, and what is known is drawn.

import { byId, make } from "/page/dom.js";
import { Channel, headline } from "/page/channel.js";
import { Composer } from "/page/composer.js";
import { Dialogue } from "/page/dialogue.js";
import { MessageList } from "/page/list.js";
import { showMessage } from "/page/message.js";
import { PanelView } from "/page/panel.js";
import { startTicking } from "/page/times.js";
import { takeToken, Wire } from "/page/wire.js";

const LINKS = { live: "live", lost: "connecting again", refused: "not admitted", waiting: "the bot is not there" };
const CHOSEN = "sandbox-user";
const LATE = "The bot did not answer in time; the channel shows what came of it.";
const FLASH = 1500; // ms that a message is shown to be the one that was meant

const wire = new Wire(takeToken());
const channel = new Channel();
const dismissed = new Set();
const busy = new Set();
let user = sessionStorage.getItem(CHOSEN) ?? "operator";
let thread = null;
let link = "lost";
let drawing = false;

// What a message may know and do.
const room = {
  names: () => channel.names(room.jump),
  find: (id) => channel.messages.get(id),
  threadOf: (id) => channel.threads.get(id),
  count: (id) => channel.list(id, user, dismissed).length,
  isBusy: (message, button) => busy.has(`${message} ${button}`),
  openThread,
  jump,
  dismiss(id) {
    dismissed.add(id);
    redraw();
  },
  async press(message, button) {
    await during(`${message.id} ${button}`, async () => {
      take(await wire.click(message.id, button, user), LATE, () => focusOn(message.id, button));
    });
  },
};

const newest = byId("newest");
const messages = new MessageList(
  byId("channel"),
  (message) => showMessage(message, room),
  (atEnd) => atEnd && (newest.hidden = true),
);
const inThread = new MessageList(byId("thread-messages"), (message) => showMessage(message, room));
const dialogue = new Dialogue(byId("dialogue"));
const panel = new PanelView(byId("panel"), byId("panel-toggle"), (button) => wire.press(button));
const composer = new Composer(byId("composer"), {
  commands: () => channel.commands,
  complete: ({ command, option, value, options }) => wire.complete(command, option, value, options, user),
  async send(command, options) {
    messages.toEnd();
    const late = `/${command} got no answer in time; it may still come.`;
    take(await wire.slash(command, options, user), late, () => byId("line").focus());
  },
});

/** What came of an order: a message, which the stream brings, a dialogue, or nothing. */
function take(answer, late, closed) {
  if (answer.dialogue) dialogue.ask(answer.dialogue, (fields) => submit(answer.interaction_id, fields), closed);
  else if (answer.response === null) composer.refuse(late);
}

/** Back to the button that opened a dialogue, which was drawn anew meanwhile. */
function focusOn(message, button) {
  const drawn = byId(`message-${message}`)?.querySelector(`[data-focus="${CSS.escape(`button ${button}`)}"]`);
  (drawn ?? byId("channel")).focus({ preventScroll: true });
}

/** Why a dialogue stays open, "" = it was answered. */
async function submit(interaction, fields) {
  try {
    messages.toEnd();
    return (await wire.submit(interaction, fields, user)).response === null ? LATE : "";
  } catch (error) {
    return error.message;
  }
}

/** Runs an order whose button stays out of use meanwhile. */
async function during(key, act) {
  busy.add(key);
  composer.refuse("");
  redraw();
  try {
    await act();
  } catch (error) {
    composer.refuse(error.message);
  }
  busy.delete(key);
  redraw();
}

// --- drawing ---------------------------------------------------------------------------------------------------------

/** Soon, and once however much has changed. A hidden tab draws too. */
function redraw() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    draw();
  }, 16);
}

function draw() {
  showLink();
  if (link === "refused") return showBlank();
  byId("room").textContent = channel.place.name;
  document.title = `#${channel.place.name}`;
  showPeople();
  panel.show(channel.panel);
  const said = channel.list(null, user, dismissed);
  if (!said.length && link === "live") sayNothingYet();
  const added = messages.show(said, keyOf);
  if (added && !messages.following) newest.hidden = false;
  showThread();
}

/** Where the panel hides behind a button, what one looks at and what to tap stand here meanwhile. */
function sayNothingYet() {
  const nothing = `Nothing has been said in #${channel.place.name} yet. Type / for a command.`;
  const welcome = channel.panel?.text ?? "";
  messages.say(`${nothing} ${welcome}`, () => {
    const tap = make("button", { class: "button primary", type: "button", on: { click: () => panel.open() } }, "Try it");
    return [welcome && make("div", { class: "welcome" }, make("p", {}, welcome), tap), make("p", {}, nothing)];
  });
}

/** Whatever a message shows beyond itself. */
function keyOf(message) {
  const buttons = message.components
    .flatMap((row) => row.components ?? [])
    .map((each) => room.isBusy(message.id, each.custom_id));
  const opened = room.threadOf(message.id);
  const answered = channel.messages.get(message.reply_to);
  const origin = answered && headline(answered);
  return [opened?.name, opened && room.count(opened.id), origin, ...buttons].join("\n");
}

function showLink() {
  const state = link === "live" && !channel.ready ? "waiting" : link;
  const element = byId("link");
  element.className = `link ${state}`;
  if (element.textContent !== LINKS[state]) element.textContent = LINKS[state];
}

function showPeople() {
  const element = byId("people");
  if (element.dataset.drawn === channel.place.people.join()) return;
  element.dataset.drawn = channel.place.people.join();
  const choose = (event) => {
    user = event.target.value;
    sessionStorage.setItem(CHOSEN, user);
    redraw();
  };
  for (const label of element.querySelectorAll("label")) label.remove();
  if (!channel.place.people.includes(user)) user = channel.place.people[0] ?? user;
  element.append(
    ...channel.place.people.map((name) =>
      make(
        "label",
        {},
        make("input", { type: "radio", name: "person", value: name, checked: name === user, on: { change: choose } }),
        make("span", {}, name),
      ),
    ),
  );
}

// --- threads ---------------------------------------------------------------------------------------------------------

function openThread(id) {
  location.hash = `thread-${id}`;
}

function closeThread() {
  const opened = thread;
  history.pushState(null, "", location.pathname);
  followHash();
  document.querySelector(`[data-focus="thread ${CSS.escape(opened ?? "")}"]`)?.focus();
}

function followHash() {
  const id = /^#thread-(\d+)$/.exec(location.hash)?.[1] ?? null;
  if (id === thread) return;
  thread = id;
  inThread.clear();
  draw();
  if (thread !== null) byId("thread-name").focus({ preventScroll: true });
}

function showThread() {
  const found = thread === null ? undefined : channel.threads.get(thread);
  byId("thread").hidden = found === undefined;
  document.body.classList.toggle("with-thread", found !== undefined);
  if (found === undefined) return;
  byId("thread-name").textContent = found.name;
  const inside = channel.list(found.id, user, dismissed);
  const first = channel.messages.get(found.id);
  inThread.show(first ? [first, ...inside] : inside, (message) => (message === first ? "" : keyOf(message)));
}

/** To a message, wherever it is. */
function jump(id) {
  const message = channel.messages.get(id);
  if (!message) return composer.refuse("That message is not here any more.");
  if (message.thread !== null && message.thread !== thread) {
    location.hash = `thread-${message.thread}`;
    followHash();
  }
  const list = message.thread === null ? messages : inThread;
  list.limit = channel.messages.size;
  draw();
  const element = list.items.get(id)?.element;
  element?.scrollIntoView({ block: "center" });
  element?.classList.add("meant");
  setTimeout(() => element?.classList.remove("meant"), FLASH);
}

// --- the stream ------------------------------------------------------------------------------------------------------

function told(changes, first) {
  const before = first ? null : new Map(channel.messages);
  channel.take(changes, first);
  if (before) announce(changes.messages ?? [], before);
  if ("commands" in changes) composer.refresh();
  redraw();
}

/** For those who listen: what is new, and titles that changed; not each step of a bar. */
function announce(changed, before) {
  for (const message of changed) {
    const old = before.get(message.id);
    const seen = message.thread === null && (message.ephemeral_to ?? user) === user && !message.thinking;
    if (seen && (!old || old.thinking || headline(old) !== headline(message))) {
      byId("announcer").textContent = `${message.author}: ${headline(message)}`;
    }
  }
}

function linked(state) {
  link = state;
  redraw();
}

function showBlank() {
  messages.clear();
  messages.say(
    "This page is opened with the address that was printed at the start: its end has the token that lets you in.",
  );
}

newest.addEventListener("click", () => {
  messages.toEnd();
  newest.hidden = true;
});
byId("thread-close").addEventListener("click", closeThread);
byId("thread").addEventListener("keydown", (event) => event.key === "Escape" && closeThread());
addEventListener("hashchange", followHash);
addEventListener("popstate", followHash);
document.addEventListener("visibilitychange", () => !document.hidden && redraw());
startTicking();
followHash();
wire.follow(told, linked);
