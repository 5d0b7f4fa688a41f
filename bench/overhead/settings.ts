import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

export const settings = readSettings(
  environmentOf({
    name: 'bench',
    portBase: 7550,
    more: { MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)) },
  }),
);
