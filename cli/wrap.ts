import stringWidth from 'string-width';

/** Columns for output that goes to a file or another program, and the least that lines are wrapped to. */
const USUAL = 100;
const LEAST = 40;

export const columnsOf = ({ isTTY, columns }: { readonly isTTY?: boolean; readonly columns?: number }): number =>
  isTTY && columns ? Math.max(LEAST, columns) : USUAL;

/** Terminal columns of a text: colour codes take none, a Chinese character two. */
export const widthOf = (cell: string | number): number => stringWidth(String(cell));

/** An address, a path or a cursor, which must stay whole to be followed or copied; JSON may be broken. */
const WHOLE = /^[^"]+$/;

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
      return linesOf(line, width, { indent, whole: WHOLE });
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
  /** Words that are not broken. */
  readonly whole?: RegExp;
}

/** Breaks a line at spaces, and a word that is longer than a line after a separator if it has one. */
function linesOf(line: string, width: number, { indent, whole }: Breaks): string[] {
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
    while (widthOf(now) > width && !whole?.test(now.trim())) {
      const [head, rest] = broken(now, width, indent.length);
      lines.push(head);
      now = indent + rest;
    }
  }
  if (now.trim() !== '') lines.push(now.trimEnd());
  return lines;
}

/** Where a word is broken: after one of these in its last half, else anywhere. */
const SEPARATOR = /[/,.:;_@=&?·-]/;

function broken(text: string, width: number, indent: number): readonly [head: string, rest: string] {
  const letters = [...text];
  let fits = 0;
  for (let taken = 0; fits < letters.length; fits++) {
    taken += widthOf(letters[fits] ?? '');
    if (taken > width) break;
  }
  // At least one letter beside the indent, or the text would never get shorter.
  fits = Math.max(fits, indent + 1);
  for (let at = fits; at > Math.max(fits / 2, indent + 1); at--) {
    if (SEPARATOR.test(letters[at - 1] ?? '')) return [letters.slice(0, at).join(''), letters.slice(at).join('')];
  }
  return [letters.slice(0, fits).join(''), letters.slice(fits).join('')];
}
