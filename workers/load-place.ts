import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { placeOf, placeText } from '../runtime/author-frames.js';

/** A file with a line, as the message of a compiler or the first line of a syntax error’s stack names it. */
const FILE_AND_LINE = /((?:file:\/\/)?\/[^\s:()]{1,1000}\.[cm]?[jt]s)(?:\?[^\s:]{0,1000})?:(\d{1,7})/;
const LONGEST_LINE = 4_000;

/** Where a module of the author’s cannot be loaded, as `pipelines.ts:12:5`, relative to the working folder. */
export async function loadPlace(error: unknown, module: string): Promise<string | undefined> {
  const place = placeOf(error);
  if (place) return placeText(place, process.cwd());
  if (!(error instanceof Error)) return undefined;
  // Node names the file of a syntax error only for a missing export, in the first line of the stack.
  const [first = ''] = (error.stack ?? '').split('\n', 1);
  for (const text of [error.message, first]) {
    const [, file, line] = FILE_AND_LINE.exec(text.slice(0, LONGEST_LINE)) ?? [];
    if (file === undefined || file.includes('/node_modules/')) continue;
    return `${path.relative(process.cwd(), file.startsWith('file:') ? fileURLToPath(file) : file)}:${line}`;
  }
  if (!(error instanceof SyntaxError)) return undefined;
  const { syntaxErrorIn } = await import('./scan/index.js');
  return await syntaxErrorIn(module).catch(() => undefined);
}
