/**
 * A Triton model configuration (`config.pbtxt`, protobuf's text format) with some of its fields replaced; everything
 * else, including comments, stays as its author wrote it. Commas and semicolons between fields, which are optional, are left out: beside a
 * field that is removed they would not be valid.
 * @param fields text of each field by name, as it is written to the file; null removes it
 */
export function withFields(config: string, fields: Readonly<Record<string, string | null>>): string {
  const kept = topLevel(config)
    .filter(({ name }) => name === undefined || !Object.hasOwn(fields, name))
    .map(({ isBetween, text }) => (isBetween ? withoutSeparators(text) : text))
    .join('')
    .trimEnd();
  const added = Object.values(fields).filter((text) => text !== null);
  return `${[kept, ...added].filter((text) => text !== '').join('\n')}\n`;
}

/** Names of the fields at the top of a configuration. */
export const fieldNames = (config: string): ReadonlySet<string> =>
  new Set(topLevel(config).flatMap(({ name }) => (name === undefined ? [] : [name])));

/** Contents of a message field: of each of its values, written alone or as a list. */
export function blocksOf(config: string, field: string): readonly string[] {
  return topLevel(config).flatMap(({ name, text }) => {
    if (name !== field) return [];
    const value = text.slice(field.length).replace(/^\s*:?\s*/, '');
    if (!value.startsWith('[')) return [value.slice(1, -1)];
    // A list of messages: its pieces have no names.
    return topLevel(value.slice(1, -1)).flatMap((piece) => {
      const block = piece.text.trim();
      return block.startsWith('{') ? [block.slice(1, -1)] : [];
    });
  });
}

/** The value of a scalar field, without quotes. */
export function scalarOf(config: string, field: string): string | undefined {
  const text = topLevel(config).findLast(({ name }) => name === field)?.text;
  return text
    ?.slice(field.length)
    .replace(/^\s*:?\s*/, '')
    .replace(/^["'](.*)["']$/, '$1');
}

/** The whole numbers of a repeated field, written as a list or one by one. */
export const numbersOf = (config: string, field: string): readonly number[] =>
  topLevel(config).flatMap(({ name, text }) =>
    name === field ? (text.slice(field.length).match(/\d+/g) ?? []).map(Number) : [],
  );

/** What is between two fields as space and comments alone. */
const withoutSeparators = (between: string): string =>
  between.replace(/#[^\n]*|[,;]/g, (found) => (found.startsWith('#') ? found : '')) || ' ';

interface Piece {
  /** Undefined for what is between fields, and for a message in a list. */
  readonly name?: string;
  /** Space, comments and separators. */
  readonly isBetween?: true;
  readonly text: string;
}

const NAME = /[A-Za-z_]\w*/y;
const BETWEEN = /(?:\s|#[^\n]*(?:\n|$)|[,;])+/y;

function topLevel(config: string): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < config.length; ) {
    const between = match(BETWEEN, config, at);
    if (between !== undefined) {
      pieces.push({ isBetween: true, text: between });
      at += between.length;
      continue;
    }
    const name = match(NAME, config, at);
    // A message in a list has no name.
    const end = endOfValue(config, at + (name?.length ?? ('{['.includes(config[at] as string) ? 0 : 1)));
    pieces.push({ ...(name !== undefined && { name }), text: config.slice(at, end) });
    at = end;
  }
  return pieces;
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** End of the value after a field's name: its closing bracket, or the end of its scalar. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  let begun = false;
  for (let at = from; at < text.length; at++) {
    const character = text[at] as string;
    if (character === '"' || character === "'") {
      at = endOfString(text, at);
      begun = true;
      if (depth === 0) return at + 1;
    } else if (character === '#') {
      const line = text.indexOf('\n', at);
      at = line === -1 ? text.length : line;
    } else if ('{['.includes(character)) {
      depth += 1;
      begun = true;
    } else if ('}]'.includes(character)) {
      depth -= 1;
      if (depth <= 0) return at + 1;
    } else if (depth === 0 && /[\s,;]/.test(character)) {
      if (begun) return at;
    } else if (depth === 0 && character !== ':') {
      begun = true;
    }
  }
  return text.length;
}

function endOfString(text: string, start: number): number {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote) return at;
  }
  return text.length;
}
