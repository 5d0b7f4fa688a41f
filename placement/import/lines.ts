/** The lines of a text, without their ends. */
export const linesOf = (text: string): readonly string[] => text.split(/\r?\n/);

/** Lines with their numbers, from 1, without the mark that some editors put before the first one. */
export function* numbered(lines: Iterable<string>): Iterable<readonly [number: number, text: string]> {
  let number = 0;
  for (const line of lines) {
    number += 1;
    yield [number, number === 1 ? line.replace(/^\ufeff/, '') : line];
  }
}
