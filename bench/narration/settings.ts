import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7980);
const NAME = 'narration';

/** Ports behind those of the stack: the workers' probes, and the scripted models. */
export const PORTS = { 'worker-a': PORT_BASE + 12, 'worker-b': PORT_BASE + 13, models: PORT_BASE + 14 } as const;

const models = path.resolve('.millrace', NAME, 'models.json');
mkdirSync(path.dirname(models), { recursive: true });
const endpoints = [{ url: `http://127.0.0.1:${PORTS.models}/v1`, device: 'cpu0', concurrency: 256 }];
writeFileSync(
  models,
  JSON.stringify({
    storyteller: { connector: 'openai', kind: 'chat', model: 'storyteller', endpoints },
    voice: { connector: 'openai', kind: 'synthesize', model: 'voice', endpoints },
  }),
);

/** The environment of all processes that the bench starts. */
export const environment = environmentOf({
  name: NAME,
  portBase: PORT_BASE,
  more: {
    // Temporal keeps its database: runs left open by an earlier bench are not taken up.
    MILLRACE_TASK_QUEUE: `narration-${Date.now().toString(36)}`,
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
    MILLRACE_MODELS: models,
    // Two stages for each of many runs at once, in one worker.
    MILLRACE_MAX_ACTIVITIES: '256',
    // A worker that is stopped leaves its story to the next one soon.
    MILLRACE_SHUTDOWN_GRACE_MS: '2000',
  },
});

export const settings = readSettings(environment);
