import { readSettings, type Settings } from '../../workers/settings.js';

/** The bench's own stack, apart from a demo's, the tests' and the other benches'. */
export const settingsWith = (more: Readonly<Record<string, string>> = {}): Settings =>
  readSettings({
    MILLRACE_HOME: '.millrace/bench-parallel',
    MILLRACE_VENV: '.millrace/venv',
    MILLRACE_PORT_BASE: '7700',
    MILLRACE_LOG_LEVEL: 'warn',
    // Canaries would be calls of the devices.
    MILLRACE_CANARY_INTERVAL_MS: '3600000',
    ...more,
  });
