// Writes the reference pages that are made from the sources, and the example in plan.md. Needs the build.
//   node docs/reference/generate.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { voiceAssistant } from '../../dist/pipelines/catalog/index.js';
import { ERRORS } from '../../dist/pipelines/errors.js';
import { settingsSchema } from '../../dist/workers/settings.js';
import { ADVICE } from './advice.mjs';
import { renderErrors, renderSettings, withPlan } from './render.mjs';

const page = (name) => new URL(name, import.meta.url);
writeFileSync(page('errors.md'), renderErrors(ERRORS, ADVICE));
writeFileSync(page('settings.md'), renderSettings(settingsSchema));
writeFileSync(page('plan.md'), withPlan(readFileSync(page('plan.md'), 'utf8'), voiceAssistant.plan));
