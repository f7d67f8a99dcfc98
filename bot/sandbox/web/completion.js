// What a line is so far: a command, its options and their values. Nothing here touches the page.
//
//   /restart-server delay:30s reason:a new build       several options, in any order
//   /revert a1b2c3d                                    words before the first option are the first option's value

const BOOLEAN = 5;

/** The parts of a line: { command, values: [{ option, text, start }], name } ; `command` null while it is not known. */
export function readLine(text, commands) {
  const name = /^\s*\/?([-\w]*)/.exec(text);
  const command = commands.find((each) => each.name === name[1]) ?? null;
  const head = name[0].length;
  const known = command !== null && (text.length === head || /\s/.test(text[head]));
  return {
    name: name[1],
    isCommand: text.trimStart().startsWith("/"),
    command: known ? command : null,
    values: known ? readValues(text, head, command.options ?? []) : [],
  };
}

function readValues(text, head, options) {
  const marks = findMarks(text, head, options);
  const ends = [...marks.slice(1).map((mark) => mark.at), text.length];
  const values = marks.map((mark, index) => ({
    option: mark.option,
    start: mark.value,
    text: text.slice(mark.value, ends[index]),
  }));
  const loose = text.slice(head, marks[0]?.at ?? text.length);
  const first = options.find((option) => !marks.some((mark) => mark.option === option));
  if (!loose.trim() || !first) return values;
  const start = head + loose.length - loose.trimStart().length;
  return [{ option: first, start, text: text.slice(start, head + loose.length), loose: true }, ...values];
}

/** Where `name:` of an option of this command begins. */
function findMarks(text, head, options) {
  const marks = [];
  for (const found of text.slice(head).matchAll(/(?<=\s)([-\w]+):/g)) {
    const option = options.find((each) => each.name === found[1]);
    const again = marks.some((mark) => mark.option === option);
    if (option && !again) marks.push({ option, at: head + found.index, value: head + found.index + found[0].length });
  }
  return marks;
}

/** The order to send: { command, options } or { error }. */
export function readOrder(text, commands) {
  const line = readLine(text, commands);
  if (!line.isCommand) return { error: "This channel takes commands; they begin with /." };
  if (line.command === null) return { error: `There is no command /${line.name}.` };
  const options = Object.fromEntries(
    line.values.filter((each) => each.text.trim()).map((each) => [each.option.name, each.text.trim()]),
  );
  const missing = (line.command.options ?? []).filter((option) => option.required && !(option.name in options));
  if (missing.length)
    return { error: `/${line.command.name} needs ${missing.map((option) => option.name).join(" and ")}.` };
  return { command: line.command.name, options };
}

/** What could come next at the end of `text`: a list of suggestions { label, detail, text, certain }, `text` being the
 * whole line once it is taken and `certain` whether Enter takes it; or { ask: { command, option, value, options } }
 * where the bot has to be asked for the values of an option, with `fill` to make suggestions of its choices. */
export function suggest(text, commands) {
  const line = readLine(text, commands);
  if (!line.isCommand) return [];
  if (line.command === null || !/\s/.test(text)) return suggestCommands(line, commands);
  const value = line.values.at(-1);
  const open = value && text.length === value.start + value.text.length && !/\s$/.test(text);
  if (open || (value && !value.text.trim())) return suggestValues(text, line, value);
  return suggestOptions(text, line);
}

function suggestCommands(line, commands) {
  const exact = commands.filter((each) => each.name === line.name);
  const longer = commands.filter((each) => each.name !== line.name && each.name.startsWith(line.name));
  const found = [...exact, ...longer];
  const within = commands.filter((each) => !found.includes(each) && each.name.includes(line.name));
  return [...found, ...within].map((command) => {
    const first = (command.options ?? []).find((option) => option.required);
    return {
      label: `/${command.name}`,
      detail: command.description,
      marks: (command.options ?? []).map((option) => (option.required ? option.name : `${option.name}?`)),
      text: first ? `/${command.name} ${first.name}:` : `/${command.name} `,
      certain: line.command !== command || Boolean(first),
    };
  });
}

function suggestValues(text, line, value) {
  const { option } = value;
  const typed = value.text.trim();
  const fill = (choices) =>
    choices.map((choice) => ({
      label: String(choice.name),
      detail: "", // Discord shows its name alone
      text: value.loose
        ? `${text.slice(0, value.start)}${option.name}:${choice.value} `
        : `${text.slice(0, value.start)}${choice.value} `,
      certain: String(choice.value) !== typed,
    }));
  if (option.autocomplete) {
    const options = Object.fromEntries(
      line.values
        .filter((each) => each !== value && each.text.trim())
        .map((each) => [each.option.name, each.text.trim()]),
    );
    return { ask: { command: line.command.name, option: option.name, value: typed, options }, fill };
  }
  const choices =
    option.type === BOOLEAN
      ? [
          { name: "True", value: "true" },
          { name: "False", value: "false" },
        ]
      : (option.choices ?? []);
  const found = choices.filter((choice) => String(choice.name).toLowerCase().startsWith(typed.toLowerCase()));
  const word = /\S*$/.exec(text)[0];
  return found.length || !value.loose ? fill(found) : suggestOptions(text, { ...line, values: [] }, word);
}

function suggestOptions(text, line, word = "") {
  const left = (line.command.options ?? []).filter((option) => !line.values.some((value) => value.option === option));
  const base = text.slice(0, text.length - word.length);
  return left
    .filter((option) => option.name.startsWith(word))
    .map((option) => ({
      label: option.name,
      detail: option.description + (option.required ? "" : " (optional)"),
      text: `${base}${option.name}:`,
      certain: Boolean(option.required),
    }));
}
