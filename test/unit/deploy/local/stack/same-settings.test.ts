import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { up } from '../../../../../deploy/local/stack/index.js';
import { settingHashes, settingsAsEnvironment } from '../../../../../deploy/local/stack/part-settings.js';
import { requireSameSettings } from '../../../../../deploy/local/stack/same-settings.js';
import { type StackState, settingsPath, writeState } from '../../../../../deploy/local/stack/stack-state.js';
import { writeJson } from '../../../../../runtime/json-file.js';
import { identify } from '../../../../../runtime/process-identity.js';
import { testSettings } from '../../../../support/settings.js';

const home = mkdtempSync(path.join(tmpdir(), 'same-settings-'));
const models = path.join(home, 'models.json');
const BASE = { MILLRACE_HOME: home, MILLRACE_MODELS: models, LLM_API_KEY: 'of-a-setting' };
const settings = testSettings(BASE);
const endpoints = [{ url: 'http://127.0.0.1:9/v1', device: 'there' }];
const pool = { connector: 'openai', model: 'm', kind: 'chat', endpoints };
const KEYS = { SAME_SETTINGS_KEY: 'the-first-key', SAME_SETTINGS_ORG: 'org' };

const MODELS = {
  large: {
    ...pool,
    apiKey: { env: 'SAME_SETTINGS_KEY' },
    headers: { 'x-org': { env: 'SAME_SETTINGS_ORG' }, 'x-plain': 'SAME_SETTINGS_PLAIN' },
  },
  // A setting, which is compared as one.
  small: { ...pool, apiKey: { env: 'LLM_API_KEY' } },
};

let child: ChildProcess;
let running: StackState;
beforeAll(async () => {
  writeFileSync(models, JSON.stringify(MODELS));
  // In place of the supervisor, with its environment.
  const env = { ...process.env, ...settingsAsEnvironment(settings), ...KEYS };
  child = spawn('sleep', ['600'], { stdio: 'ignore', detached: true, env });
  await once(child, 'spawn');
  const supervisor = identify(child.pid ?? 0);
  if (!supervisor) throw new Error('no process');
  running = { format: 1, supervisor, startedAt: new Date().toISOString(), ready: true, parts: [] };
});
afterAll(() => {
  child.kill('SIGKILL');
  rmSync(home, { recursive: true });
});

/** With variables that have been set before this process began. */
const check = (env: NodeJS.ProcessEnv, wanted: Parameters<typeof requireSameSettings>[2] = ['worker']) =>
  requireSameSettings(settings, running, wanted, { env, given: new Map(Object.entries(env)) });

describe.skipIf(process.platform !== 'linux')('the variables that pools name', () => {
  it('may be the same, or not set any more', async () => {
    await check({ ...KEYS, LLM_API_KEY: 'another', SAME_SETTINGS_PLAIN: 'x' });
    await check({ SAME_SETTINGS_KEY: ' the-first-key\n' });
    await check({});
  });

  it.each([
    ['a key that was replaced', { ...KEYS, SAME_SETTINGS_KEY: 'the-second-key' }, 'SAME_SETTINGS_KEY'],
    ['a header that was replaced', { ...KEYS, SAME_SETTINGS_ORG: 'other' }, 'SAME_SETTINGS_ORG'],
  ])('are the running stack’s: %s needs a new start', async (_, env, field) => {
    const error = await check(env).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'STACK_SETTINGS_CHANGED',
      message: expect.stringContaining(`values of ${field}. Stop it first: millrace down`),
      details: { fields: [{ field }] },
    });
    expect(JSON.stringify(error)).not.toMatch(/the-first-key|the-second-key/);
  });

  it('that the stack was started without need a new start: its worker would not have them', async () => {
    const file = path.join(home, 'added.json');
    writeFileSync(file, JSON.stringify({ large: { ...pool, apiKey: { env: 'NEW_KEY' } } }));
    const changed = testSettings({ ...BASE, MILLRACE_MODELS: file });
    const env = { NEW_KEY: 'k' };
    await expect(
      requireSameSettings(changed, running, ['gateway'], { env, given: new Map(Object.entries(env)) }),
    ).rejects.toMatchObject({ code: 'STACK_SETTINGS_CHANGED', message: expect.stringContaining('NEW_KEY') });
  });

  it('must be set somewhere, where a worker reads them when it starts', async () => {
    const discovered = { ...pool, endpoints: [], discover: { file: path.join(home, 'endpoints.json') } };
    const needed = async (given: object, wanted?: Parameters<typeof check>[1]) => {
      writeFileSync(models, JSON.stringify(given));
      try {
        await check({ EMPTY_KEY: ' ' }, wanted);
      } finally {
        writeFileSync(models, JSON.stringify(MODELS));
      }
    };
    await needed({ large: { ...discovered, apiKey: { env: 'NO_KEY' } } });
    await expect(needed({ large: { ...pool, apiKey: { env: 'EMPTY_KEY' } } })).rejects.toMatchObject({
      code: 'INVALID_SETTING',
      message: expect.stringMatching(/large\.apiKey: .*EMPTY_KEY/),
    });
    const headers = { 'x-org': { env: 'NO_ORG' } };
    await expect(needed({ large: { ...pool, headers } })).rejects.toMatchObject({
      code: 'INVALID_SETTING',
      details: { fields: [{ field: 'large.headers.x-org', message: expect.stringContaining('NO_ORG') }] },
    });
    await needed({ large: { ...pool, headers } }, ['gateway']);
  });

  it('may be set by the configuration, as another token each time', async () => {
    const env = { ...KEYS, SAME_SETTINGS_KEY: 'token-of-this-minute' };
    const given = new Map([['SAME_SETTINGS_KEY', 'of-the-shell']]);
    await requireSameSettings(settings, running, ['worker'], { env, given: new Map() });
    await requireSameSettings(settings, running, ['worker'], { env, given });
  });

  it('are not asked for where only servers are started', async () => {
    await check({ SAME_SETTINGS_KEY: 'the-second-key' }, ['temporal', 'redis']);
  });
});

describe.skipIf(process.platform !== 'linux')('the settings of a worker that is started after the servers', () => {
  const changed = testSettings({ ...BASE, LLM_API_KEY: 'another' });
  const refused = { code: 'STACK_SETTINGS_CHANGED', details: { fields: [{ field: 'LLM_API_KEY' }] } };
  const differing = (wanted: Parameters<typeof requireSameSettings>[2]) =>
    requireSameSettings(changed, running, wanted, { env: KEYS, given: new Map(Object.entries(KEYS)) });

  it.each([
    ['none', undefined],
    ['those of the start', settings],
    // A server that does not use the setting was added with it.
    ['those of a later part', changed],
  ])('are those of its supervisor, whatever hashes are written: %s', async (_, written) => {
    if (written) writeJson(settingsPath(home), settingHashes(written));
    try {
      await check(KEYS, ['temporal', 'worker']);
      await expect(differing(['temporal', 'worker'])).rejects.toMatchObject(refused);
      await differing(['temporal']);
    } finally {
      rmSync(settingsPath(home), { force: true });
    }
  });

  it('are compared before up changes anything', async () => {
    writeState(home, running);
    await expect(up({ settings: changed, parts: ['worker'] })).rejects.toMatchObject(refused);
  });
});
