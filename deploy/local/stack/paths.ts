import path from 'node:path';
import { PACKAGE_ROOT } from '../../../runtime/package-root.js';

/** Files of the embedded servers: lock file, weights' manifest, model repository, LLM server. */
export const RECIPE = path.join(PACKAGE_ROOT, 'deploy', 'local');

/** Compiled entry point of the CLI, which starts worker and gateway. */
export const CLI_MAIN = path.join(PACKAGE_ROOT, 'dist', 'cli', 'main.js');

/** The build, and the file with its release. */
export const BUILD = path.join(PACKAGE_ROOT, 'dist');
export const PACKAGE_FILE = path.join(PACKAGE_ROOT, 'package.json');

/** Compiled entry point of the supervisor. */
export const SUPERVISOR_MAIN = path.join(PACKAGE_ROOT, 'dist', 'deploy', 'local', 'stack', 'supervisor-main.js');
