import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the Millrace package, both from the sources and from `dist/`. */
export const PACKAGE_ROOT = findRoot(path.dirname(fileURLToPath(import.meta.url)));

function findRoot(start: string): string {
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'deploy', 'local', 'requirements.txt'))) return folder;
    if (path.dirname(folder) === folder) return start;
  }
}
