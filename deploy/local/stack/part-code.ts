import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { sourcesOf } from '../../../workers/sources.js';
import type { PartCode } from './part-spec.js';

/**
 * Identifies what a part runs by the content of its files; undefined if one cannot be read, as in the middle of a
 * build.
 */
export async function codeHash({ folder, modules, files }: PartCode): Promise<string | undefined> {
  try {
    const hash = createHash('sha256');
    for (const file of [...(await programsIn(folder)), ...files]) hash.update(file).update(await readFile(file));
    for (const module of modules) hash.update(await sourcesOf(module));
    return hash.digest('hex').slice(0, 16);
  } catch {
    return undefined;
  }
}

/** The JavaScript files of a folder, in order. */
async function programsIn(folder: string): Promise<string[]> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}
