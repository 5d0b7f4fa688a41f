import { statSync } from 'node:fs';
import path from 'node:path';

/** Endings that an import may omit. */
const ENDINGS = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.json', '/index.js', '/index.ts'];
/** Endings that an import names, as the compiler wants it, for a source that is not compiled. */
const SOURCES: Readonly<Record<string, string>> = { '.js': '.ts', '.mjs': '.mts', '.cjs': '.cts' };

/** The file that a relative import means, given its absolute path as written; undefined if there is none. */
export function sourceFile(named: string): string | undefined {
  const { dir, name, ext } = path.parse(named);
  const source = SOURCES[ext];
  const candidates = [...ENDINGS.map((ending) => named + ending), ...(source ? [path.join(dir, name + source)] : [])];
  return candidates.find((candidate) => statSync(candidate, { throwIfNoEntry: false })?.isFile());
}
