import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type ProfileCommandOptions, profilePipeline } from '../../../cli/profile.js';
import { profileOptions } from '../../../cli/profile-options.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { testSettings } from '../../support/settings.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-profile-'));
// Nothing listens there: whatever is refused is refused before a server is asked.
const settings = testSettings({
  MILLRACE_PIPELINES: '',
  TRITON_URL: '127.0.0.1:9',
  LLM_BASE_URL: 'http://127.0.0.1:9/v1',
});
const PROFILES = ['--profiles', path.join(folder, 'profiles')];
const CPU = ['--device-kind', 'cpu', ...PROFILES];

async function profile(...args: readonly string[]): Promise<void> {
  const command = profileOptions(new Command('profile'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action(async (name: string, options: ProfileCommandOptions) => profilePipeline(settings, name, options));
  await command.parseAsync([...args], { from: 'user' });
}

describe('millrace profile', () => {
  const broken = path.join(folder, 'broken');
  it.each([
    ['an unknown pipeline', ['nope', ...CPU], 'INVALID_INPUT', /^no pipeline is named "nope"/],
    ['an unknown stage', ['voice-assistant', ...CPU, '--stage', 'speek'], 'INVALID_INPUT', /--stage: .*mean "speak"/],
    ['no kind of device', ['voice-assistant', ...PROFILES], 'INVALID_INPUT', /--cluster: pass the device kind/],
    ['two of them', ['voice-assistant', ...CPU, '--cluster', 'c.yaml'], 'INVALID_INPUT', /--device-kind: .*not both/],
    [
      'an inventory that is not there',
      ['voice-assistant', '--cluster', 'c.yaml'],
      'INVALID_INVENTORY',
      /cannot read c.yaml/,
    ],
    [
      'memory of no model',
      ['voice-assistant', ...CPU, '--memory', 'x=1GiB'],
      'INVALID_INPUT',
      /--memory: model "x" is not profiled/,
    ],
    [
      'memory of nothing',
      ['voice-assistant', ...CPU, '--memory', 'tts=0B'],
      'INVALID_INPUT',
      /--memory: tts: 0B is nothing/,
    ],
    [
      'tokens of no LLM',
      ['voice-assistant', ...CPU, '--memory', 'tts=1GiB', '--per-token', 'tts=1KiB'],
      'INVALID_INPUT',
      /--per-token: "tts" is no LLM/,
    ],
    [
      'tokens without weights',
      ['voice-assistant', ...CPU, '--per-token', 'assistant=128KiB'],
      'INVALID_INPUT',
      /--per-token: assistant: pass --memory assistant=/,
    ],
    [
      'tokens of nothing',
      ['voice-assistant', ...CPU, '--memory', 'assistant=1GiB', '--per-token', 'assistant=0B'],
      'INVALID_INPUT',
      /--per-token: assistant: 0B is nothing/,
    ],
    ['a server that is away', ['voice-assistant', ...CPU], 'BACKEND_UNAVAILABLE', /./],
    [
      'audio that is not there',
      ['voice-assistant', ...CPU, '--audio', 'no.wav'],
      'INVALID_INPUT',
      /--audio: cannot read no/,
    ],
    [
      'a folder with what is no profile',
      ['voice-assistant', '--device-kind', 'cpu', '--profiles', broken],
      'INVALID_PROFILE',
      /^x.json:1/,
    ],
  ])('refuses %s', async (_, args, code, message) => {
    mkdirSync(broken, { recursive: true });
    writeFileSync(path.join(broken, 'x.json'), '{}');
    const error = await profile(...args).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) expect.fail(String(error));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it.each([
    ['--samples', '0'],
    ['--batches', '1,x'],
    ['--sizes', '0'],
    ['--time-limit', 'soon'],
    ['--quality', '2'],
    ['--memory', 'much'],
  ])('refuses %s %s at once', async (option, value) => {
    await expect(profile('voice-assistant', ...CPU, option, value)).rejects.toThrow(/It must|Give/);
  });
});
