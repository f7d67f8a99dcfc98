// The only way from values to the page: elements by name, text as text.

/** An element. `on` in the attributes holds listeners; null, undefined and false leave an attribute or a child out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    } else if (isThere(value)) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter(isThere));
  return element;
}

function isThere(value) {
  return value !== null && value !== undefined && value !== false;
}

export function byId(id) {
  return document.getElementById(id);
}

/** The address if it leads to the web, else null: nothing that runs, nothing of this machine's files. */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

export function linkTo(address, ...children) {
  return make(
    "a",
    { href: address, target: "_blank", rel: "noopener noreferrer nofollow", title: address },
    ...children,
  );
}

/** `12 kB` */
export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
