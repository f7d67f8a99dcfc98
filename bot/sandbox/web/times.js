// Moments as everyone's own clock shows them; those that say how long ago tick.

const FORMS = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};
// Seconds of each, and of how many it becomes one of the next: as Discord rounds, so that 118 s are 2 minutes.
const UNITS = [
  ["second", 1, 60],
  ["minute", 60, 60],
  ["hour", 3600, 24],
  ["day", 86_400, 30],
  ["month", 2_629_800, 12],
  ["year", 31_557_600, Infinity],
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
  const [unit, size] = UNITS.find(([, length, most]) => Math.round(Math.abs(seconds) / length) < most);
  return relative.format(Math.sign(seconds) * Math.round(Math.abs(seconds) / size), unit);
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
