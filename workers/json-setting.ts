import { readFile } from 'node:fs/promises';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { SettingName } from './settings.js';

/** The JSON in the file that a setting names. Throws `INVALID_SETTING`. */
export async function jsonOfSetting(setting: SettingName, file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const message = `cannot read ${file}: ${messageOf(error)}`;
    throw new MillraceError('INVALID_SETTING', `${setting}: ${message}`, { fields: [{ field: setting, message }] });
  }
}
