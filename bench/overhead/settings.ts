import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

/** Ports of the processes that the bench starts beside the stack. */
export const environment = environmentOf({
  name: 'bench',
  portBase: 7550,
  more: { MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)) },
});

export const settings = readSettings(environment);
