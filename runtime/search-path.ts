import { existsSync } from 'node:fs';
import path from 'node:path';

/** All files of this name in the folders of PATH, in order. */
export function onPath(name: string, searchPath: string | undefined): string[] {
  const folders = (searchPath ?? '').split(path.delimiter).filter(Boolean);
  return [...new Set(folders.map((folder) => path.join(folder, name)))].filter((file) => existsSync(file));
}
