import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import type { Settings } from '../../workers/settings.js';
import { LITELLM_PORT } from './settings.js';

const RECIPE = fileURLToPath(new URL('../../../bench/gateway', import.meta.url));
/** 10 s on an idle machine: it imports a client for every provider. */
const START_MS = 180_000;
const STOP_MS = 5_000;

/** The LiteLLM proxy (https://github.com/BerriAI/litellm) in front of one server, without database, logs or telemetry. */
export async function startLiteLlm(settings: Settings, llm: string, note: (text: string) => void) {
  const venv = await ensureVenv({
    folder: path.join(settings.MILLRACE_HOME, 'litellm-venv'),
    recipe: RECIPE,
    explicitPython: settings.MILLRACE_PYTHON,
    env: process.env,
    onStep: (detail) => note(`litellm: ${detail}`),
  });
  const config = path.join(settings.MILLRACE_HOME, 'litellm.yaml');
  const model = { model: `openai/${settings.LLM_MODEL}`, api_base: llm, api_key: 'none' };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ model_list: [{ model_name: 'assistant', litellm_params: model }] }));
  const child = spawn(
    path.join(venv.folder, 'bin', 'litellm'),
    ['--config', config, '--host', '127.0.0.1', '--port', String(LITELLM_PORT), '--telemetry', 'False'],
    {
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        // Otherwise fetched at start.
        LITELLM_LOCAL_MODEL_COST_MAP: 'True',
        // No keys, as at the gateway: both serve only this machine during the bench.
        LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: 'true',
        LITELLM_LOG: 'ERROR',
        NO_DOCS: 'True',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      output = (output + text).slice(-4_000);
    });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([exit, sleep(STOP_MS)]);
    child.kill('SIGKILL');
    await exit;
  };
  const base = `http://127.0.0.1:${LITELLM_PORT}`;
  const end = performance.now() + START_MS;
  while (performance.now() < end && child.exitCode === null) {
    const answer = await fetch(`${base}/health/liveliness`).catch(() => undefined);
    if (answer?.ok) return { url: `${base}/v1`, stop };
    await sleep(200);
  }
  await stop();
  throw new Error(`LiteLLM does not start:\n${output}`);
}
