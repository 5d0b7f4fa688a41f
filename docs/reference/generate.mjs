// Writes the reference pages that are made from the sources, the JSON Schema of plans, the warnings in dsl.md, the example in plan.md,
// the index of the pages, llms.txt and the pictures. Needs the build.
//   node docs/reference/generate.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PRESETS } from '../../dist/activities/connectors/http/index.js';
import { createConnectors } from '../../dist/activities/connectors/index.js';
import { SEGMENTS } from '../../dist/cli/graph.js';
import { voiceAssistant } from '../../dist/pipelines/catalog/index.js';
import { ERRORS } from '../../dist/pipelines/errors.js';
import { svg, WARNINGS } from '../../dist/pipelines/inspect/index.js';
import { planJsonSchema } from '../../dist/pipelines/plan/plan-schema.js';
import { settingsSchema } from '../../dist/workers/settings.js';
import { ADVICE } from './advice.mjs';
import { renderIndex, renderLlms } from './pages.mjs';
import { renderCapabilities, renderErrors, renderJson, renderSettings, withPlan, withWarnings } from './render.mjs';

const page = (name) => new URL(name, import.meta.url);
writeFileSync(page('errors.md'), renderErrors(ERRORS, ADVICE));
writeFileSync(page('servers/capabilities.md'), renderCapabilities(createConnectors(), PRESETS));
writeFileSync(page('settings.md'), renderSettings(settingsSchema));
writeFileSync(page('dsl.md'), withWarnings(readFileSync(page('dsl.md'), 'utf8'), WARNINGS));
writeFileSync(page('plan.schema.json'), renderJson(planJsonSchema()));
writeFileSync(page('plan.md'), withPlan(readFileSync(page('plan.md'), 'utf8'), voiceAssistant.plan));

const root = fileURLToPath(page('../../'));
writeFileSync(page('../images/voice-assistant.svg'), svg(voiceAssistant.plan, SEGMENTS));
writeFileSync(page('../README.md'), renderIndex(root));
writeFileSync(page('../../llms.txt'), renderLlms(root));
