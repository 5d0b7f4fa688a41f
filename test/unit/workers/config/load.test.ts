import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { settingsAsEnvironment } from '../../../../deploy/local/stack/part-settings.js';
import { loadSettings, settingsWith } from '../../../../workers/config/load.js';

const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-config-')), 'millrace.config.mjs');
writeFileSync(file, `export default { settings: { MILLRACE_TASK_QUEUE: 'mine', MILLRACE_MAX_WAIT_MS: 7 } };\n`);

it('settings come from the file where the environment has none', async () => {
  const env = { MILLRACE_CONFIG: file, MILLRACE_MAX_WAIT_MS: '8' };
  const { MILLRACE_TASK_QUEUE, MILLRACE_MAX_WAIT_MS, config } = await loadSettings(env);
  expect([MILLRACE_TASK_QUEUE, MILLRACE_MAX_WAIT_MS, config.file]).toEqual(['mine', 8, file]);
});

it('the command line takes precedence over the variable', async () => {
  expect((await loadSettings({ MILLRACE_CONFIG: 'none' }, file)).config.file).toBe(file);
  expect((await loadSettings({ MILLRACE_CONFIG: file }, 'none')).config.file).toBeUndefined();
});

it('processes that are started load the same file, or none', async () => {
  expect(settingsAsEnvironment(await loadSettings({}, file)).MILLRACE_CONFIG).toBe(file);
  expect(settingsAsEnvironment(await loadSettings({})).MILLRACE_CONFIG).toBe('none');
});

it('a program’s configuration is checked as a file is', async () => {
  const config = { settings: { MILLRACE_TASK_QUEUE: 'mine' } } as const;
  expect((await settingsWith(config, {})).MILLRACE_TASK_QUEUE).toBe('mine');
  expect((await settingsWith({ settings: { MILLRACE_TASK_QUEUE: '' } }, {})).MILLRACE_TASK_QUEUE).toBe('millrace');
  await expect(settingsWith({ doors: [{}] } as never, {})).rejects.toThrow('config.doors[0].prefix: must be a path');
});
