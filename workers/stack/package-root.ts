import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of Millrace itself, whether this file runs from `workers/` or from `dist/workers/`. */
export const PACKAGE_ROOT = findRoot(path.dirname(fileURLToPath(import.meta.url)));

/** Recipe of the embedded servers: lock file, weights' manifest, model repository, LLM server. */
export const RECIPE = path.join(PACKAGE_ROOT, 'deploy', 'local');

/** Compiled entry of the CLI: the worker and the gateway are started through it. */
export const CLI_MAIN = path.join(PACKAGE_ROOT, 'dist', 'workers', 'cli', 'main.js');

/** Compiled entry of the supervisor. */
export const SUPERVISOR_MAIN = path.join(PACKAGE_ROOT, 'dist', 'workers', 'stack', 'supervisor-main.js');

function findRoot(start: string): string {
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'deploy', 'local', 'requirements.txt'))) return folder;
    if (path.dirname(folder) === folder) return start;
  }
}
