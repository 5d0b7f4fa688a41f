import { createHash } from 'node:crypto';
import { type SettingName, type Settings, settingsSchema } from '../../../workers/settings.js';
import type { PartName, SERVER_PARTS } from './part-spec.js';

/** The settings that affect a part's command line; worker and gateway read all of them. */
const USED: Record<(typeof SERVER_PARTS)[number], readonly SettingName[]> = {
  temporal: ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'MILLRACE_TEMPORAL_PORT', 'MILLRACE_TEMPORAL_UI_PORT'],
  redis: ['REDIS_URL', 'MILLRACE_REDIS_PORT', 'MILLRACE_REDIS_STATE_BYTES'],
  'redis-index': ['REDIS_URL', 'REDIS_INDEX_URL', 'MILLRACE_REDIS_INDEX_PORT', 'MILLRACE_REDIS_INDEX_BYTES'],
  'redis-cache': ['REDIS_CACHE_URL', 'MILLRACE_REDIS_CACHE_PORT', 'MILLRACE_REDIS_CACHE_BYTES'],
  triton: [
    'TRITON_URL',
    'MILLRACE_TRITON_HTTP_PORT',
    'MILLRACE_TRITON_GRPC_PORT',
    'MILLRACE_TRITON_METRICS_PORT',
    'MILLRACE_MODEL_THREADS',
    'MILLRACE_PYTHON',
  ],
  llm: [
    'LLM_BASE_URL',
    'LLM_MODEL',
    'MILLRACE_LLM_PORT',
    'MILLRACE_LLM_GGUF',
    'MILLRACE_LLM_CONTEXT',
    'MILLRACE_MODEL_THREADS',
    'MILLRACE_LLM_CHAT_TEMPLATE',
    'MILLRACE_PYTHON',
  ],
};

/** Settings that name the user's own server instead of a part, any of which suffices. */
const OWN_SERVER: Partial<Record<PartName, readonly SettingName[]>> = {
  temporal: ['TEMPORAL_ADDRESS'],
  redis: ['REDIS_URL'],
  'redis-index': ['REDIS_INDEX_URL', 'REDIS_URL'],
  'redis-cache': ['REDIS_CACHE_URL'],
  triton: ['TRITON_URL'],
  llm: ['LLM_BASE_URL'],
};

/** Whether the settings name the user's own server for this part, so that it is not started. */
export function isExternal(part: PartName, settings: Settings): boolean {
  return OWN_SERVER[part]?.some((name) => settings[name] !== undefined) ?? false;
}

/** Hashes of all settings, by which changed ones are detected without storing keys or passwords on disk. */
export function settingHashes(settings: Settings): Record<string, string> {
  const hash = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
  const given = settingNames().filter((name) => settings[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, hash(settings[name])]));
}

/** Names of the settings that differ between two sets of hashes and affect one of these parts. */
export function changedSettings(
  parts: readonly PartName[],
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string[] {
  const names = new Set<string>();
  for (const part of parts) {
    const used = part === 'worker' || part === 'gateway' ? [...Object.keys(before), ...Object.keys(now)] : USED[part];
    for (const name of used) if (before[name] !== now[name]) names.add(name);
  }
  return [...names].sort();
}

/** The settings as environment variables for a process that reads them again. */
export function settingsAsEnvironment(settings: Settings): Record<string, string> {
  // An empty variable counts as unset, and overrides the process's own environment.
  return Object.fromEntries(
    settingNames().map((name) => {
      const value = settings[name];
      return [name, Array.isArray(value) ? value.join(',') : String(value ?? '')];
    }),
  );
}

/** Names of all settings. */
export const settingNames = () => Object.keys(settingsSchema().shape) as SettingName[];
