import { describe, expect, it } from 'vitest';
import {
  changedSettings,
  isExternal,
  settingHashes,
  settingsAsEnvironment,
} from '../../../../../deploy/local/stack/part-settings.js';
import { readSettings } from '../../../../../workers/settings.js';

const base = { MILLRACE_HOME: '/tmp/h', LLM_API_KEY: 'very-secret' };

describe('settings of a stack', () => {
  it('come back the same from the environment that is handed to the worker', () => {
    const settings = readSettings({
      ...base,
      TRITON_URL: 'a:1,b:2',
      MILLRACE_PORT_BASE: '7600',
      REDIS_URL: 'redis://r',
    });
    expect(readSettings(settingsAsEnvironment(settings))).toEqual(settings);
  });

  it('are recorded without their values', () => {
    const recorded = JSON.stringify(settingHashes(readSettings(base)));
    expect(recorded).toContain('LLM_API_KEY');
    expect(recorded).not.toContain('very-secret');
  });

  it('count as changed only for the parts that use them', () => {
    const before = settingHashes(readSettings(base));
    const after = settingHashes(readSettings({ ...base, MILLRACE_REDIS_PORT: '9', MILLRACE_LOG_LEVEL: 'debug' }));
    expect(changedSettings(['temporal', 'llm'], before, after)).toEqual([]);
    expect(changedSettings(['redis'], before, after)).toEqual(['MILLRACE_REDIS_PORT']);
    expect(changedSettings(['gateway'], before, after)).toEqual(['MILLRACE_LOG_LEVEL', 'MILLRACE_REDIS_PORT']);
  });

  it('count the models’ threads among what their servers are started with', () => {
    const hashes = (threads: string) => settingHashes(readSettings({ ...base, MILLRACE_MODEL_THREADS: threads }));
    expect(changedSettings(['llm', 'triton'], hashes(''), hashes('1'))).toEqual(['MILLRACE_MODEL_THREADS']);
    expect(() => readSettings({ ...base, MILLRACE_MODEL_THREADS: '0' })).toThrow(/MILLRACE_MODEL_THREADS/);
  });

  it('see a server of the user’s own that was added', () => {
    const mine = readSettings({ ...base, REDIS_URL: 'redis://r' });
    expect(isExternal('redis', mine)).toBe(true);
    expect(isExternal('redis-index', mine), 'it serves the indexes too').toBe(true);
    expect(isExternal('redis-cache', mine), 'a cache needs one that may evict').toBe(false);
    expect(isExternal('triton', mine)).toBe(false);
    expect(isExternal('worker', mine)).toBe(false);
    expect(changedSettings(['redis'], settingHashes(readSettings(base)), settingHashes(mine))).toEqual(['REDIS_URL']);
  });
});
