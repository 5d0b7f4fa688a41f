import { styleText } from 'node:util';
import stringWidth from 'string-width';

/**
 * Output of the command line: results go to stdout, everything else to stderr, so that scripts can read the results.
 */
export const print = (text = ''): void => void process.stdout.write(`${text}\n`);
export const note = (text = ''): void => void process.stderr.write(`${text}\n`);

/** Exit codes, stated in `--help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unavailable: 3 } as const;

type Style = Parameters<typeof styleText>[0];

/** `hasColors` honours NO_COLOR and FORCE_COLOR. */
const COLOURED = process.stdout.isTTY && process.stdout.hasColors();
const paint = (style: Style) => (text: string) => (COLOURED ? styleText(style, text, { validateStream: false }) : text);
export const bold = paint('bold');
export const dim = paint('dim');
export const green = paint('green');
export const red = paint('red');

/** Formats rows under their headings, columns as wide as their longest cell; numbers are right-aligned. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = headings.map((heading, i) => Math.max(...[heading, ...rows.map((row) => row[i] ?? '')].map(widthOf)));
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, i) => {
        const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(cell)));
        return typeof cell === 'number' ? `${space}${cell}` : `${cell}${space}`;
      })
      .join('  ')
      .trimEnd();
  return [dim(line(headings)), ...rows.map(line)].join('\n');
}

/** Terminal columns of a text: colour codes take none, a Chinese character two. */
const widthOf = (cell: string | number): number => stringWidth(String(cell));
