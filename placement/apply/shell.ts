import { MillraceError } from '../../pipelines/errors.js';

/**
 * Words of a command line as a POSIX shell separates them: by space, with quotes and backslashes. Throws
 * `INVALID_INPUT` for a quote that does not end.
 */
export function shellWords(text: string): readonly string[] {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)/y;
  for (;;) {
    const found = pattern.exec(text);
    if (!found) break;
    const at = pattern.lastIndex;
    const [, word = ''] = found;
    words.push(
      word.replace(
        /\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/g,
        (_, escaped?: string, single?: string, double?: string) =>
          escaped ?? single ?? (double ?? '').replace(/\\(.)/g, '$1'),
      ),
    );
    pattern.lastIndex = at;
    if (at >= text.trimEnd().length) return words;
  }
  if (text.trim() === '') return words;
  const message = `a quote of ${text} does not end`;
  throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: '--vllm-args', message }] });
}

/** A command line for a POSIX shell. */
export const shellLine = (words: readonly string[]): string =>
  words.map((word) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
