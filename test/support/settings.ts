import { readSettings, type Settings } from '../../workers/settings.js';

/** Ports of the stack that tests start: apart from those of a demo that may be up. */
const TEST_PORT_BASE = 7500;

/** The environment of every process that tests start. */
export const testEnvironment = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  MILLRACE_HOME: '.millrace/test',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: String(TEST_PORT_BASE),
  MILLRACE_PIPELINES: 'test/fixtures/pipelines.mjs',
  // Canaries count in Triton's statistics, which tests compare: the test of canaries starts a worker of its own.
  MILLRACE_CANARY_INTERVAL_MS: '3600000',
  // Above the default, so that a test can send what would show if it were held in memory.
  MILLRACE_MAX_AUDIO_BYTES: '160000000',
  ...more,
});

export const testSettings = (more: Readonly<Record<string, string>> = {}): Settings =>
  readSettings(testEnvironment(more));
