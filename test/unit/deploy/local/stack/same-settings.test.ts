import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { up } from '../../../../../deploy/local/stack/index.js';
import { requireSameSettings } from '../../../../../deploy/local/stack/same-settings.js';
import { type StackState, writeState } from '../../../../../deploy/local/stack/stack-state.js';
import { identify } from '../../../../../runtime/process-identity.js';
import { testSettings } from '../../../../support/settings.js';

const home = mkdtempSync(path.join(tmpdir(), 'same-settings-'));
const models = path.join(home, 'models.json');
const settings = testSettings({ MILLRACE_HOME: home, MILLRACE_MODELS: models });
const endpoints = [{ url: 'http://127.0.0.1:9/v1', device: 'there' }];
const pool = { connector: 'openai', model: 'm', kind: 'chat', endpoints };
const KEYS = { SAME_SETTINGS_KEY: 'the-first-key', SAME_SETTINGS_ORG: 'org', LLM_API_KEY: 'of-a-setting' };

let child: ChildProcess;
let running: StackState;
beforeAll(async () => {
  writeFileSync(
    models,
    JSON.stringify({
      large: {
        ...pool,
        apiKey: { env: 'SAME_SETTINGS_KEY' },
        headers: { 'x-org': { env: 'SAME_SETTINGS_ORG' }, 'x-plain': 'SAME_SETTINGS_PLAIN' },
      },
      // A setting, which is compared as one.
      small: { ...pool, apiKey: { env: 'LLM_API_KEY' } },
    }),
  );
  // In place of the supervisor.
  child = spawn('sleep', ['600'], { stdio: 'ignore', detached: true, env: { ...process.env, ...KEYS } });
  await once(child, 'spawn');
  const supervisor = identify(child.pid ?? 0);
  if (!supervisor) throw new Error('no process');
  running = { format: 1, supervisor, startedAt: new Date().toISOString(), ready: true, parts: [] };
});
afterAll(() => {
  child.kill('SIGKILL');
  rmSync(home, { recursive: true });
});

const check = (env: NodeJS.ProcessEnv, wanted: Parameters<typeof requireSameSettings>[2] = ['worker']) =>
  requireSameSettings(settings, running, wanted, env);

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
      message: expect.stringMatching(new RegExp(`${field}\\. Stop it first: millrace down`)),
      details: { fields: [{ field }] },
    });
    expect(JSON.stringify(error)).not.toMatch(/the-first-key|the-second-key/);
  });

  it('that the stack was started without need a new start: its worker would not have them', async () => {
    const file = path.join(home, 'added.json');
    writeFileSync(file, JSON.stringify({ large: { ...pool, apiKey: { env: 'NEW_KEY' } } }));
    const changed = testSettings({ MILLRACE_HOME: home, MILLRACE_MODELS: file });
    await expect(requireSameSettings(changed, running, ['gateway'], { NEW_KEY: 'k' })).rejects.toMatchObject({
      code: 'STACK_SETTINGS_CHANGED',
      message: expect.stringContaining('NEW_KEY'),
    });
  });

  it('are not asked for where only servers are started', async () => {
    await check({ SAME_SETTINGS_KEY: 'the-second-key' }, ['temporal', 'redis']);
  });

  it('are compared before up changes anything', async () => {
    writeState(home, running);
    process.env.SAME_SETTINGS_KEY = 'the-second-key';
    try {
      await expect(up({ settings, parts: ['worker'] })).rejects.toMatchObject({ code: 'STACK_SETTINGS_CHANGED' });
    } finally {
      delete process.env.SAME_SETTINGS_KEY;
    }
  });
});
