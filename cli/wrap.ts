import stringWidth from 'string-width';

/** Columns for output that goes to a file or another program, and the least that lines are wrapped to. */
const USUAL = 100;
const LEAST = 40;

export const columnsOf = ({ isTTY, columns }: { readonly isTTY?: boolean; readonly columns?: number }): number =>
  isTTY && columns ? Math.max(LEAST, columns) : USUAL;

const PLAIN = /^[ -~]*$/;

/** Terminal columns of a text: colour codes take none, a Chinese character two. */
export function widthOf(cell: string | number): number {
  const text = String(cell);
  return PLAIN.test(text) ? text.length : stringWidth(text);
}

/**
 * A text whose lines have at most `width` columns; only a word that is longer stays whole, on a line of its own. A line
 * that continues another is indented by two more.
 */
export function wrapped(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => {
      if (widthOf(line) <= width) return [line];
      const indent = ' '.repeat(Math.min((/^ */.exec(line)?.[0].length ?? 0) + 2, Math.floor(width / 2)));
      return linesOf(line, width, { indent, keepsWords: true });
    })
    .join('\n');
}

/** The lines of a row whose cells are wrapped to the widths of their columns. */
export function wrappedCells(cells: readonly (string | number)[], widths: readonly number[]): readonly string[][] {
  const columns = cells.map((cell, i) => linesOf(String(cell), widths[i] ?? USUAL, { indent: '' }));
  const most = Math.max(1, ...columns.map(({ length }) => length));
  return Array.from({ length: most }, (_, n) => columns.map((lines) => lines[n] ?? ''));
}

interface Breaks {
  /** Of lines that continue the first. */
  readonly indent: string;
  /** Whether a word without a quotation mark stays whole: an address, a path or a cursor, to be followed or copied. JSON is broken. */
  readonly keepsWords?: boolean;
}

/** Breaks a line at spaces, and a word that is longer than a line after a separator if it has one. */
function linesOf(line: string, width: number, breaks: Breaks): string[] {
  const { indent } = breaks;
  if (widthOf(line) <= width) return [line];
  const lines: string[] = [];
  let now = '';
  // Spaces stay with the word after them, so that aligned columns keep their places on the first line.
  for (const piece of line.match(/ *[^ ]+/g) ?? []) {
    if (widthOf(now + piece) <= width) {
      now += piece;
      continue;
    }
    if (now.trim() !== '') {
      lines.push(now.trimEnd());
      now = indent + piece.trimStart();
    } else now += piece;
    if (widthOf(now) <= width) continue;
    const { full, rest } = broken(now, width, breaks);
    for (const each of full) lines.push(each);
    now = rest;
  }
  if (now.trim() !== '') lines.push(now.trimEnd());
  return lines;
}

/** Where a word is broken: after one of these in its last half, else anywhere. */
const SEPARATOR = /[/,.:;_@=&?·-]/;

/** The lines that a word fills, and what is left of it. A result may be one word of a megabyte: each letter is looked at once. */
function broken(word: string, width: number, { indent, keepsWords = false }: Breaks) {
  const letters = [...word];
  const last = keepsWords ? letters.lastIndexOf('"') : letters.length;
  const full: string[] = [];
  let from = 0;
  let before = '';
  while (from <= last) {
    const end = fitting(letters, from, width - before.length);
    if (end === letters.length) break;
    const columns = (at: number) => before.length + at - from;
    // At least one letter beside the indent, or the text would never get shorter.
    const fits = Math.max(end, from + indent.length + 1 - before.length);
    let cut = fits;
    for (let at = fits; columns(at) > Math.max(columns(fits) / 2, indent.length + 1); at--) {
      if (!SEPARATOR.test(letters[at - 1] ?? '')) continue;
      cut = at;
      break;
    }
    full.push(before + letters.slice(from, cut).join(''));
    from = cut;
    before = indent;
  }
  return { full, rest: before + letters.slice(from).join('') };
}

/** The index of the first letter for which there is no room. */
function fitting(letters: readonly string[], from: number, room: number): number {
  let taken = 0;
  for (let at = from; at < letters.length; at++) {
    taken += widthOf(letters[at] ?? '');
    if (taken > room) return at;
  }
  return letters.length;
}
