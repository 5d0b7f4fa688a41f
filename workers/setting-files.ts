import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import type { SettingName } from './settings.js';

/** The JSON in the file that a setting names. Throws `INVALID_SETTING`. */
export async function jsonOfSetting(setting: SettingName, file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw unreadable(setting, file, error);
  }
}

/** The text of the file that a setting names. Throws `INVALID_SETTING`. */
export function textOfSetting(setting: SettingName, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(setting, file, error);
  }
}

const unreadable = (setting: SettingName, file: string, error: unknown): MillraceError =>
  invalidSetting(setting, `cannot read ${file}: ${messageOf(error)}`);
