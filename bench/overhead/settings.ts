import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';

/** The bench's own stack, apart from a demo's and the tests'. */
export const settings = readSettings({
  MILLRACE_HOME: '.millrace/bench',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: '7550',
  MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
});
