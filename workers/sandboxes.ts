import { openSandboxes, parseSandboxes, type Sandboxes, type SandboxesConfig } from '../activities/sandbox/index.js';
import { jsonOfSetting } from './setting-files.js';
import type { Settings } from './settings.js';

/** What the file of `MILLRACE_SANDBOXES` says; nothing if it is unset. Throws `INVALID_SETTING`. */
export async function readSandboxes({
  MILLRACE_SANDBOXES: file,
}: Pick<Settings, 'MILLRACE_SANDBOXES'>): Promise<SandboxesConfig> {
  return file === undefined ? {} : parseSandboxes(await jsonOfSetting('MILLRACE_SANDBOXES', file), file);
}

/** The sandboxes in the file of `MILLRACE_SANDBOXES`; none if it is unset. Throws `INVALID_SETTING`. */
export const loadSandboxes = async (settings: Settings): Promise<Sandboxes> =>
  await openSandboxes(await readSandboxes(settings));
