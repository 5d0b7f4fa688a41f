import { styleText } from 'node:util';
import { terminalJson, terminalLine, terminalText } from './terminal-text.js';
import { columnsOf, widthOf, wrapped, wrappedCells } from './wrap.js';

/**
 * Output of the command line: results go to stdout, everything else to stderr, so that scripts can read the results.
 * `print` writes data unchanged; `show` and `note` write text for people, as `terminalText` makes it, wrapped to the terminal's columns.
 */
export const print = (text = ''): void => void process.stdout.write(`${text}\n`);
/** Data as JSON, in one line unless its depth is indented. */
export const printJson = (data: unknown, indent = 0): void => print(terminalJson(JSON.stringify(data, null, indent)));
export const show = (text = ''): void => print(wrapped(terminalText(text), columnsOf(process.stdout)));
export const note = (text = ''): void =>
  void process.stderr.write(`${wrapped(terminalText(text), columnsOf(process.stderr))}\n`);
/** An error: on one line where no person reads it as it appears, so that a log can be searched. */
export const complain = (given: string): void => {
  const text = terminalText(given);
  process.stderr.write(`${process.stderr.isTTY ? wrapped(text, columnsOf(process.stderr)) : text}\n`);
};

/**
 * Ends the command when its results cannot be written: without a word when nobody reads them any more, as behind
 * `| head`. Without its notes it goes on. Otherwise Node would end it over an error that no one has handled.
 */
export function endWithReader(): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit();
    complain(`millrace: the results cannot be written: ${message}`);
    process.exit(EXIT.failed);
  });
}

/** What a module of pipelines does when it ends, such as sending its last spans, may take this long, in milliseconds. */
const ENDING_MS = 3_000;

/**
 * Ends the process with the exit code that has been set, once everything has been written: by itself if nothing is open any more, else after
 * `endingMs`. A connection or a timer that a module of pipelines or the configuration holds would keep it alive otherwise, and a pipe that is
 * read slowly would lose the end of the results.
 *
 * @param endingMs in milliseconds; 0: at once
 */
export async function endWhenWritten(endingMs = ENDING_MS): Promise<void> {
  await Promise.all([written(process.stdout), written(process.stderr)]);
  if (endingMs === 0) return process.exit();
  setTimeout(() => process.exit(), endingMs).unref();
}

/** Resolves also where the stream has failed: `endWithReader` says what follows. */
const written = (stream: NodeJS.WritableStream): Promise<void> =>
  new Promise((resolve) => void stream.write('', () => resolve()));

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

type Cell = string | number;

/**
 * Formats rows under their headings, columns as wide as their longest cell; numbers are right-aligned. If the terminal
 * has too few columns, the widest ones are narrowed and their cells wrapped. `notes`: lines below a row, by its number.
 */
export function table(
  headings: readonly string[],
  given: readonly (readonly Cell[])[],
  notes: readonly (readonly string[])[] = [],
): string {
  const rows = given.map((row) => row.map((cell) => (typeof cell === 'number' ? cell : terminalLine(cell))));
  const natural = headings.map((heading, i) => Math.max(...[heading, ...rows.map((row) => row[i] ?? '')].map(widthOf)));
  const widths = narrowed(natural, columnsOf(process.stdout) - GAP.length * (headings.length - 1));
  const lines = (cells: readonly Cell[]) =>
    wrappedCells(cells, widths).map((parts) =>
      parts
        .map((part, i) => {
          const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(part)));
          return typeof cells[i] === 'number' ? `${space}${part}` : `${part}${space}`;
        })
        .join(GAP)
        .trimEnd(),
    );
  const noted = rows.flatMap((row, i) => [
    ...lines(row),
    ...(notes[i] ?? []).map((note) => `${GAP}${terminalText(note)}`),
  ]);
  return [...lines(headings).map(dim), ...noted].join('\n');
}

const GAP = '  ';

/** Widths with the sum `room`: columns up to an equal share keep theirs, the others share what is left. */
function narrowed(natural: readonly number[], room: number): readonly number[] {
  if (natural.reduce((sum, width) => sum + width, 0) <= room) return natural;
  let left = room;
  let wide = natural.map((_, i) => i);
  for (;;) {
    const share = Math.floor(left / wide.length);
    const fitting = wide.filter((i) => (natural[i] ?? 0) <= share);
    if (fitting.length === 0) return natural.map((width, i) => (wide.includes(i) ? Math.max(1, share) : width));
    left -= fitting.reduce((sum, i) => sum + (natural[i] ?? 0), 0);
    wide = wide.filter((i) => !fitting.includes(i));
  }
}
