import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7940);

/** Ports behind those of the stack. Clients know that of the balancer only. */
export const PORTS = {
  'worker-a': PORT_BASE + 12,
  'worker-b': PORT_BASE + 13,
  'gateway-a': PORT_BASE + 14,
  'gateway-b': PORT_BASE + 15,
  balancer: PORT_BASE + 16,
} as const;

export type ProcessName = 'worker-a' | 'worker-b' | 'gateway-a' | 'gateway-b';

/** The environment of all processes that the suite starts. */
export const environment = environmentOf({
  name: 'doors-chaos',
  portBase: PORT_BASE,
  more: {
    // Temporal keeps its database: runs left open by an earlier suite are not taken up.
    MILLRACE_TASK_QUEUE: `doors-${Date.now().toString(36)}`,
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
    MILLRACE_KSERVE_GRPC_PORT: '0',
  },
});

export const settings = readSettings(environment);

/** Writes a process's models file: the scripted model, at an address that tells who calls. */
export function modelsFile(name: ProcessName, model: string): string {
  const file = path.join(settings.MILLRACE_HOME, `models-${name}.json`);
  const endpoints = [{ url: `${model}/${name}/v1`, device: 'cpu0' }];
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    JSON.stringify({ scripted: { connector: 'openai', kind: 'chat', model: 'scripted', endpoints } }),
  );
  return path.resolve(file);
}
