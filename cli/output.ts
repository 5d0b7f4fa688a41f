/** Where the command line writes: results on stdout, everything else on stderr, so that a script can read the results. */
export const print = (text = ''): void => void process.stdout.write(`${text}\n`);
export const note = (text = ''): void => void process.stderr.write(`${text}\n`);

/** Exit codes, stated in `--help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unavailable: 3 } as const;

/** `hasColors` honours NO_COLOR and FORCE_COLOR. */
const ANSI = process.stdout.isTTY && process.stdout.hasColors();
const paint = (code: number) => (text: string) => (ANSI ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const green = paint(32);
export const red = paint(31);

/** Rows under their headings, columns as wide as their longest cell; numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => String(row[i] ?? '').length)),
  );
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, i) =>
        typeof cell === 'number' ? String(cell).padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [dim(line(headings)), ...rows.map(line)].join('\n');
}
