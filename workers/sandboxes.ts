import { openSandboxes, parseSandboxes, type Sandboxes } from '../activities/sandbox/index.js';
import { jsonOfSetting } from './setting-files.js';
import type { Settings } from './settings.js';

/** The sandboxes in the file of `MILLRACE_SANDBOXES`; none if it is unset. Throws `INVALID_SETTING`. */
export async function loadSandboxes({ MILLRACE_SANDBOXES: file }: Settings): Promise<Sandboxes> {
  const config = file === undefined ? {} : parseSandboxes(await jsonOfSetting('MILLRACE_SANDBOXES', file), file);
  return await openSandboxes(config);
}
