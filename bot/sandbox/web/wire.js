// Everything that goes over the network: the calls, each with the token, and the stream that follows the channel.

const LONGEST_SILENCE = 40_000; // ms; the sandbox says something each 15 s
const FIRST_PAUSE = 300; // ms before the first try to connect again
const LONGEST_PAUSE = 5000; // ms
const KEPT_AS = "sandbox-token";

/** The token of the printed address, which is then taken out of the bar; kept for a reload of this tab. */
export function takeToken() {
  const given = new URLSearchParams(location.search).get("token");
  if (given !== null) {
    sessionStorage.setItem(KEPT_AS, given);
    history.replaceState(null, "", location.pathname + location.hash);
  }
  return given ?? sessionStorage.getItem(KEPT_AS);
}

/** What the sandbox refused, in its words. */
export class Refused extends Error {}

export class Wire {
  constructor(token) {
    this.headers = { "X-Sandbox-Token": token ?? "" };
  }

  slash(command, options, user) {
    return this.#post("/sandbox/slash", { command, options, user });
  }

  /** Its answer may be a dialogue, to be shown and sent with `submit`. */
  click(message, button, user) {
    return this.#post("/sandbox/click", { message_id: message, custom_id: button, user, dialogue: true });
  }

  submit(interaction, fields, user) {
    return this.#post("/sandbox/submit", { interaction_id: interaction, fields, user });
  }

  async complete(command, option, value, options, user) {
    return (await this.#post("/sandbox/complete", { command, option, value, options, user })).choices;
  }

  async press(button) {
    return (await this.#post("/sandbox/press", { button })).said;
  }

  async #post(path, body) {
    const headers = { ...this.headers, "Content-Type": "application/json" };
    let response;
    try {
      response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    } catch {
      throw new Refused("The sandbox cannot be reached. Nothing was sent.");
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(answer.error ?? `The sandbox answered ${response.status}.`);
    return answer;
  }

  /** Follows the channel until the token is refused. `told(changes, first)` for each line, `state` "live", "lost" or
   * "refused" whenever that changes. */
  async follow(told, state) {
    let pause = FIRST_PAUSE;
    for (;;) {
      const status = await this.#readOnce((changes, first) => {
        pause = FIRST_PAUSE;
        if (first) state("live");
        told(changes, first);
      });
      if (status === 401) return state("refused");
      state("lost");
      await new Promise((done) => setTimeout(done, pause));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  /** One connection, until it ends; its status, 0 if there was none. */
  async #readOnce(told) {
    const control = new AbortController();
    let alarm = setTimeout(() => control.abort(), LONGEST_SILENCE);
    try {
      const response = await fetch("/sandbox/stream", {
        headers: this.headers,
        signal: control.signal,
        cache: "no-store",
      });
      if (!response.ok) return response.status;
      let first = true;
      for await (const line of readLines(response.body)) {
        clearTimeout(alarm);
        alarm = setTimeout(() => control.abort(), LONGEST_SILENCE);
        told(JSON.parse(line), first);
        first = false;
      }
      return response.status;
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
      return 0;
    } finally {
      clearTimeout(alarm);
      control.abort();
    }
  }
}

async function* readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield line;
  }
}
