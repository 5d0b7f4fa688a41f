import { describe, expect, it } from 'vitest';
import { loadModels } from '../../../workers/models.js';
import { readSettings } from '../../../workers/settings.js';

const pool = (url: string) => ({
  connector: 'triton',
  kind: 'embed',
  model: 'm',
  endpoints: [{ url, device: 'cpu0' }],
});

const urlsOf = async (url: string, env: Readonly<Record<string, string>> = {}) => {
  const settings = readSettings({ MILLRACE_CONFIG: 'none', ...env });
  const models = await loadModels({ ...settings, config: { ...settings.config, models: { m: pool(url) } } });
  return models.m?.endpoints.map((endpoint) => endpoint.url);
};

const named = (setting: string) => `\${${setting}}`;

describe('an address of a models file', () => {
  it('may name the setting of a server', async () => {
    expect(await urlsOf(named('TRITON_URL'), { MILLRACE_PORT_BASE: '7300' })).toEqual(['127.0.0.1:7306']);
    expect(await urlsOf(named('LLM_BASE_URL'), { LLM_BASE_URL: 'http://gpu:8000/v1' })).toEqual(['http://gpu:8000/v1']);
    expect(await urlsOf('gpu1:8001')).toEqual(['gpu1:8001']);
  });

  it.each([
    [
      named('HOME'),
      {},
      `models: m.endpoints[0].url: an address can name ${named('TRITON_URL')} and ${named('LLM_BASE_URL')}, not ${named('HOME')}`,
    ],
    [named('constructor'), {}, `not ${named('constructor')}`],
    [
      named('TRITON_URL'),
      { TRITON_URL: 'a:1,b:1' },
      'TRITON_URL names 2 servers: write an endpoint with its url for each',
    ],
  ])('is refused where it names %s', async (url, env, message) => {
    await expect(urlsOf(url, env)).rejects.toMatchObject({
      code: 'INVALID_SETTING',
      message: expect.stringContaining(message),
    });
  });
});
