import { readSettings, type Settings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

export const settingsWith = (more: Readonly<Record<string, string>> = {}): Settings =>
  readSettings(
    environmentOf({
      name: 'bench-parallel',
      portBase: 7700,
      more: {
        MILLRACE_LOG_LEVEL: 'warn',
        // Canaries would add calls to the devices.
        MILLRACE_CANARY_INTERVAL_MS: '3600000',
        ...more,
      },
    }),
  );
