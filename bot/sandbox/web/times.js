// Moments as everyone's own clock shows them; those that say how long ago tick.

const FORMS = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const formats = Object.fromEntries(
  Object.entries(FORMS).map(([name, form]) => [name, new Intl.DateTimeFormat(undefined, form)]),
);

/** `seconds` since 1970; `form` is Discord's letter. */
export function showTime(seconds, form, now = Date.now()) {
  const moment = new Date(seconds * 1000);
  if (Number.isNaN(moment.getTime())) return "an unknown time";
  return form === "R" ? showAge(Math.round(seconds - now / 1000)) : (formats[form] ?? formats.f).format(moment);
}

function showAge(seconds) {
  if (seconds === 0) return "now";
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return relative.format(Math.trunc(seconds / size), unit);
}

/** A `time` element. */
export function makeTime(seconds, form) {
  const element = document.createElement("time");
  const moment = new Date(seconds * 1000);
  if (!Number.isNaN(moment.getTime())) {
    element.dateTime = moment.toISOString();
    element.title = formats.F.format(moment);
  }
  if (form === "R") element.dataset.ticks = String(seconds);
  element.textContent = showTime(seconds, form);
  return element;
}

/** When a message was sent, as Discord writes it. */
export function showSent(seconds, now = new Date()) {
  const moment = new Date(seconds * 1000);
  const day = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((day(now) - day(moment)) / 86_400_000);
  const time = formats.t.format(moment);
  if (days === 0) return time;
  return days === 1 ? `Yesterday at ${time}` : `${formats.d.format(moment)} ${time}`;
}

export function startTicking() {
  setInterval(() => {
    for (const element of document.querySelectorAll("time[data-ticks]")) {
      const text = showTime(Number(element.dataset.ticks), "R");
      if (element.textContent !== text) element.textContent = text;
    }
  }, 1000);
}
