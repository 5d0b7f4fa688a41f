import { invalidSetting } from '../pipelines/invalid-setting.js';
import type { SettingName } from './settings.js';

/** Why the system does not let a process listen, by the code of its error. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: name another port',
  EACCES: 'this user may not listen there: name a port above 1023',
  EADDRNOTAVAIL: 'this machine does not have this address',
};

/** The error of a server that cannot listen, with the setting that names its port; other errors as they are. */
export function cannotListen(
  setting: SettingName,
  { host, port }: { readonly host: string; readonly port: number },
  error: unknown,
): unknown {
  const reason = REASONS[String((error as NodeJS.ErrnoException).code)];
  return reason === undefined ? error : invalidSetting(setting, `${host}, port ${port}: ${reason}`);
}
