import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { carryOut, examine } from '../../../../cli/doctor/examine.js';
import { issuerChecks } from '../../../../cli/doctor/issuer-check.js';
import { checkSettings, filesCheck, gatewayCheck } from '../../../../cli/doctor/settings-checks.js';
import { issueKey } from '../../../../gateway/index.js';
import { readSettings } from '../../../../workers/settings.js';
import { OidcIssuer, sendJson } from '../../../support/oidc-issuer.js';

describe('settings', () => {
  it('are counted, and the given ones named without their values', async () => {
    const { settings, findings } = await checkSettings({ LLM_API_KEY: 'sk-very-secret', LLM_MODEL: '', PATH: '/bin' });
    expect(settings?.LLM_API_KEY).toBe('sk-very-secret');
    expect(findings).toEqual([{ id: 'settings.valid', about: 'environment', state: 'ok', detail: expect.any(String) }]);
    expect(findings[0]?.detail).toMatch(/^\d+ settings, given: LLM_API_KEY$/);
  });

  it('are all named where they are wrong, and nothing else is looked at', async () => {
    const findings = await examine({ MILLRACE_GATEWAY_PORT: '99999', MILLRACE_MAX_WAIT_MS: 'long' });
    expect(findings.map(({ id, about, state }) => [id, about, state])).toEqual([
      ['settings.valid', 'MILLRACE_GATEWAY_PORT', 'fail'],
      ['settings.valid', 'MILLRACE_MAX_WAIT_MS', 'fail'],
    ]);
    for (const { remedy } of findings) expect(remedy).toContain('millrace settings');
  });

  it('that do not exist are told, with what was likely meant', async () => {
    const { findings } = await checkSettings({
      MILLRACE_REDIS_URL: 'redis://x',
      MILLRACE_PORTBASE: '1',
      MILLRACE_OTHER_THINGS: '1',
      MILLRACE_STACK_HOME: '/x',
    });
    const unknown = findings.filter(({ id }) => id === 'settings.known');
    expect(unknown.map(({ about, state, remedy }) => [about, state, remedy])).toEqual([
      ['MILLRACE_REDIS_URL', 'warn', 'did you mean REDIS_URL?'],
      ['MILLRACE_PORTBASE', 'warn', 'did you mean MILLRACE_PORT_BASE?'],
      ['MILLRACE_OTHER_THINGS', 'warn', expect.stringContaining('millrace settings')],
    ]);
  });

  it('that pages for clients once named are told by the names that they have now', async () => {
    const { findings } = await checkSettings({ MILLRACE_KEY: 'millrace_x', MILLRACE_URL: 'http://127.0.0.1:7400' });
    const unknown = findings.filter(({ id }) => id === 'settings.known');
    expect(unknown.map(({ about, remedy }) => [about, remedy])).toEqual([
      ['MILLRACE_KEY', 'did you mean MILLRACE_API_KEY?'],
      ['MILLRACE_URL', 'did you mean MILLRACE_GATEWAY_URL?'],
    ]);
  });

  it('that have a key in place of its file are wrong, and the key is not quoted', async () => {
    const { secret } = issueKey({ name: '', tenant: 'acme', permissions: ['run'] });
    for (const given of [secret, `${secret}\n`]) {
      const { settings, findings } = await checkSettings({ MILLRACE_KEYS: given });
      expect(settings).toBeUndefined();
      expect(findings).toMatchObject([
        {
          id: 'settings.valid',
          about: 'MILLRACE_KEYS',
          state: 'fail',
          detail: expect.stringContaining('MILLRACE_API_KEY'),
        },
      ]);
      expect(JSON.stringify(findings)).not.toContain(secret);
    }
    // A file may well be named like that.
    for (const file of ['millrace_keys.json', 'keys.json', `keys/${secret}`])
      expect(readSettings({ MILLRACE_KEYS: file }).MILLRACE_KEYS).toBe(file);
  });

  it('that name a file are read', async () => {
    const there = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'weights.gguf');
    writeFileSync(there, '');
    const settings = readSettings({
      MILLRACE_LLM_GGUF: there,
      MILLRACE_LLM_CHAT_TEMPLATE: `${there}.jinja`,
      MILLRACE_PYTHON: 'python3.11',
    });
    const findings = await carryOut([filesCheck(settings)]);
    expect(Object.fromEntries(findings.map(({ about, state }) => [about, state]))).toEqual({
      MILLRACE_LLM_GGUF: 'ok',
      MILLRACE_LLM_CHAT_TEMPLATE: 'fail',
      MILLRACE_PYTHON: 'ok',
    });
  });

  it('that open the gateway to others are a finding, unless keys or a proxy guard it', async () => {
    const stateAt = async (host: string, more: Record<string, string> = {}) =>
      (await carryOut([gatewayCheck(readSettings({ MILLRACE_GATEWAY_HOST: host, ...more }))]))[0]?.state;
    expect(await stateAt('127.0.0.1')).toBe('ok');
    expect(await stateAt('0.0.0.0')).toBe('fail');
    const proxy = { MILLRACE_PROXY_AUTHENTICATES: 'yes' };
    expect(await stateAt('127.0.0.1', proxy)).toBe('warn');
    expect(await stateAt('0.0.0.0', proxy)).toBe('fail');
    expect(await stateAt('0.0.0.0', { ...proxy, MILLRACE_PROXY_SECRET: 'x'.repeat(32) })).toBe('ok');
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'keys.json');
    writeFileSync(file, JSON.stringify({ keys: [] }));
    expect(await stateAt('0.0.0.0', { MILLRACE_KEYS: file })).toBe('warn');
    const { key } = issueKey({ name: '', tenant: 'acme', permissions: ['run'] });
    writeFileSync(file, JSON.stringify({ keys: [key] }));
    expect(await stateAt('0.0.0.0', { MILLRACE_KEYS: file })).toBe('ok');
    const both = { ...proxy, MILLRACE_PROXY_SECRET: 'x'.repeat(32), MILLRACE_KEYS: file };
    expect(await stateAt('0.0.0.0', both)).toBe('fail');
    const issuer = { MILLRACE_OIDC_ISSUER: 'https://login.example', MILLRACE_OIDC_AUDIENCE: 'api://millrace' };
    expect(await stateAt('0.0.0.0', issuer)).toBe('ok');
    expect(await stateAt('0.0.0.0', { ...issuer, MILLRACE_OIDC_AUDIENCE: '' })).toBe('fail');
    expect(await stateAt('0.0.0.0', { ...issuer, ...proxy })).toBe('fail');
    writeFileSync(file, '{');
    expect(await stateAt('0.0.0.0', { MILLRACE_KEYS: file })).toBe('fail');
  });

  it('that name an identity provider are tried on it', async () => {
    expect(issuerChecks(readSettings({}))).toEqual([]);
    const issuer = await OidcIssuer.start();
    const findings = async (url = issuer.url) =>
      await carryOut(issuerChecks(readSettings({ MILLRACE_OIDC_ISSUER: url })));
    expect(await findings()).toMatchObject([
      { id: 'oidc.issuer', about: issuer.url, state: 'ok', detail: 'keys for signatures: 1' },
    ]);
    expect(await findings(`${issuer.url}/`)).toMatchObject([
      { state: 'fail', detail: expect.stringContaining(`calls itself "${issuer.url}"`) },
    ]);
    issuer.instead.set('/keys', (response) => sendJson(response, { keys: [{ kty: 'oct', k: 'AAAA' }] }));
    expect(await findings()).toMatchObject([{ state: 'warn', remedy: expect.any(String) }]);
    issuer.away = true;
    expect(await findings()).toMatchObject([{ state: 'fail', detail: expect.stringContaining('ISSUER_UNAVAILABLE') }]);
    await issuer.close();
  });

  it('that name a models file which is none are a finding', async () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'models.json');
    writeFileSync(file, '{"a": {"connector": "triton"}}');
    const port = '127.0.0.1:1';
    const findings = await examine({
      MILLRACE_MODELS: file,
      TEMPORAL_ADDRESS: port,
      REDIS_URL: `redis://${port}`,
    });
    expect(findings.find(({ id }) => id === 'settings.models')).toMatchObject({ state: 'fail', about: file });
    expect(findings.some(({ id }) => id.startsWith('pool.'))).toBe(false);
  });
});
