import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../pipelines/errors.js';
import { sourceFile } from '../runtime/typescript/index.js';

/** A module with more local files than this is not a source tree but an installation. */
const MOST_FILES = 10_000;
/** Largest file that is searched for imports, in bytes; larger ones are data and are only hashed. */
const MOST_SEARCHED = 4 * 1024 * 1024;

/** A string that may be the relative path of a file, whatever it is used for: an import, a `require`, a `new URL`. */
const LOCAL = /(["'`])(\.{1,2}\/[^"'`\n]*?)\1/g;

/**
 * Identifies the sources of a module by a hash of its file and of all files that it and they refer to by relative
 * paths. Gateway and worker of a deployment compute it independently, from the same files. Packages and computed paths
 * are not included.
 */
export async function sourcesOf(module: string): Promise<string> {
  const hashes = new Map<string, string>();
  for await (const { name, content } of localFiles(module)) {
    hashes.set(name, createHash('sha256').update(content).digest('hex'));
  }
  const all = [...hashes].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(all)).digest('hex').slice(0, 12);
}

/** A file of a module: its absolute path, and the one relative to the module's folder. */
interface LocalFile {
  readonly file: string;
  readonly name: string;
  readonly content: Buffer;
}

/** The file of a module and all files that it and they refer to by relative paths, each once, the module first. */
export async function* localFiles(module: string): AsyncGenerator<LocalFile> {
  const entry = await realpath(module);
  const folder = path.dirname(entry);
  const names = new Set<string>();
  const todo = [entry];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    const name = path.relative(folder, file).replaceAll(path.sep, '/');
    if (names.has(name)) continue;
    if (names.size >= MOST_FILES)
      throw new MillraceError(
        'INVALID_SETTING',
        `${module} names more than ${MOST_FILES} local files; set MILLRACE_BUILD_ID`,
      );
    names.add(name);
    const content = await readFile(file);
    yield { file, name, content };
    if (content.length > MOST_SEARCHED) continue;
    for (const [, , named = ''] of content.toString('utf8').matchAll(LOCAL)) {
      const found = sourceFile(path.resolve(path.dirname(file), named.split(/[?#]/, 1)[0] as string));
      if (found !== undefined) todo.push(await realpath(found));
    }
  }
}
