import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of Millrace itself, whether this file runs from the sources or from `dist/`. */
export const PACKAGE_ROOT = findRoot(path.dirname(fileURLToPath(import.meta.url)));

function findRoot(start: string): string {
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'deploy', 'local', 'requirements.txt'))) return folder;
    if (path.dirname(folder) === folder) return start;
  }
}
