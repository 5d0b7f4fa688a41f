/** Values as TypeScript source text. */

/** A text in single quotes. */
export const quoted = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;

/** A property's name in an object literal. */
export function propertyName(name: string): string {
  // As a plain name it would set the prototype.
  if (name === '__proto__') return `['__proto__']`;
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name);
}

/** A documentation comment. */
export function comment(text: string): string {
  const lines = text.replaceAll('*/', '*\\/').split('\n');
  if (lines.length === 1) return `/** ${text.replaceAll('*/', '*\\/')} */\n`;
  return `/**\n${lines.map((line) => ` * ${line}`.trimEnd()).join('\n')}\n */\n`;
}

/** A list, one entry on each line, closed by the brackets. */
export const block = (open: string, entries: readonly string[], close: string, indent: string): string =>
  entries.length === 0
    ? `${open}${close}`
    : `${open}\n${entries.map((entry) => `${indent}  ${entry},\n`).join('')}${indent}${close}`;
