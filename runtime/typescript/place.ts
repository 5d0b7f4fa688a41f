import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from '../package-root.js';

/** A source file’s address with a line, as in stacks and in the messages of compilers. */
const PLACE = /((?:file:\/\/)?\/[^\s:()]+\.[cm]?[jt]s)(?:\?[^\s:]*)?:(\d+)/g;

const OWN = [path.join(PACKAGE_ROOT, 'dist') + path.sep, `${path.sep}node_modules${path.sep}`];

/** Where in the user’s files an error arose, by its message and stack; undefined if they name none. */
export function placeOf(error: unknown): { readonly file: string; readonly line: number } | undefined {
  const { stack = '', message = '' } = error instanceof Error ? error : {};
  for (const [, name = '', line] of `${message}\n${stack}`.matchAll(PLACE)) {
    const file = name.startsWith('file:') ? fileURLToPath(name) : name;
    if (!OWN.some((own) => file.includes(own))) return { file, line: Number(line) };
  }
  return undefined;
}
