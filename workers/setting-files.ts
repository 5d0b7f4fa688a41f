import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import { withoutMark } from '../runtime/without-mark.js';
import type { SettingName } from './settings.js';

/** The JSON in the file that a setting names. Throws `INVALID_SETTING`. */
export async function jsonOfSetting(setting: SettingName, file: string): Promise<unknown> {
  try {
    return parsedJson(await readFile(file, 'utf8'));
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

/** Parses JSON. The message of a mistake does not quote the text around it, as the engine's does: it may be a key. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(withoutMark(text));
  } catch (error) {
    throw new MillraceError('INVALID_SETTING', messageOf(error).replace(QUOTED, ' in JSON'));
  }
}

/** `Unexpected token 's', ..."token": sk-1234"... is not valid JSON` */
const QUOTED = /, (?:\.{3})?".*"(?:\.{3})? is not valid JSON$/s;

const unreadable = (setting: SettingName, file: string, error: unknown): MillraceError =>
  invalidSetting(setting, `cannot read ${file}: ${messageOf(error)}`);
