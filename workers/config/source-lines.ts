/** The line, from 1, on which a source text writes the key at the end of a path; undefined if it is written nowhere. */
export function lineOf(text: string, path: readonly (string | number)[]): number | undefined {
  const lines = text.split('\n');
  let at: number | undefined;
  for (const key of path.filter((part) => typeof part === 'string')) {
    const written = new RegExp(`(^|[\\s{,])["']?${escaped(key)}["']?\\s*([:,}(]|$)`);
    const found = lines.findIndex((line, i) => i >= (at ?? 0) && written.test(withoutComment(line)));
    if (found < 0) break;
    at = found;
  }
  return at === undefined ? undefined : at + 1;
}

const withoutComment = (line: string): string => (/^\s*(\/\/|\/?\*)/.test(line) ? '' : line);

const escaped = (text: string): string => text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
