import type { Settings } from '../../workers/settings.js';

/** Loads the settings when a command runs: only then is the option `--config` known. */
export type LoadSettings = () => Promise<Settings>;
