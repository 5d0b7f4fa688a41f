import path from 'node:path';
import { PACKAGE_ROOT } from '../../../runtime/package-root.js';

/** Recipe of the embedded servers: lock file, weights' manifest, model repository, LLM server. */
export const RECIPE = path.join(PACKAGE_ROOT, 'deploy', 'local');

/** Compiled entry of the CLI: the worker and the gateway are started through it. */
export const CLI_MAIN = path.join(PACKAGE_ROOT, 'dist', 'cli', 'main.js');

/** Compiled entry of the supervisor. */
export const SUPERVISOR_MAIN = path.join(PACKAGE_ROOT, 'dist', 'deploy', 'local', 'stack', 'supervisor-main.js');
