import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Pools, parseModels } from '../../../activities/pools/index.js';
import { createMetrics } from '../../../telemetry/metrics.js';
import { connectorsOf } from '../../../workers/connectors.js';
import { keysOf } from '../../../workers/pool-keys.js';
import { readSettings } from '../../../workers/settings.js';
import { SimulatedServer } from '../activities/connectors/openai-server.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-keys-'));
const file = (name: string, text: string) => {
  const at = path.join(folder, name);
  writeFileSync(at, text);
  return at;
};

beforeEach(() => {
  process.env.KEY_A = 'sk-of-pool-a';
  process.env.KEY_B = 'sk-of-pool-b';
});
afterEach(() => {
  delete process.env.KEY_A;
  delete process.env.KEY_B;
});

describe('the key of an endpoint', () => {
  const keyOf = keysOf(readSettings({ LLM_BASE_URL: 'http://llm:8000/v1', LLM_API_KEY: 'sk-of-all' }));

  it('is the one that its pool names, of the environment or of a file', () => {
    expect(keyOf('http://x/v1', { env: 'KEY_A' })).toBe('sk-of-pool-a');
    expect(keyOf('http://x/v1', { file: file('key', ' sk-in-file\n') })).toBe('sk-in-file');
    expect(keyOf('http://llm:8000/v1', { env: 'KEY_A' })).toBe('sk-of-pool-a');
  });

  it('of several parts is JSON, of variables or of a file', () => {
    const parts = { accessKeyId: 'KEY_A', secretAccessKey: 'KEY_B' };
    expect(JSON.parse(keyOf('http://x', { env: parts }) ?? '')).toEqual({
      accessKeyId: 'sk-of-pool-a',
      secretAccessKey: 'sk-of-pool-b',
    });
    const account = { type: 'service_account', private_key: 'line\nline' };
    const written = file('account.json', JSON.stringify(account, null, 2));
    expect(JSON.parse(keyOf('http://x', { file: written }) ?? '')).toEqual(account);
    expect(() => keyOf('http://x', { env: { ...parts, sessionToken: 'KEY_OF_NOBODY' } })).toThrow(/KEY_OF_NOBODY/);
    expect(() => keyOf('http://x', { file: file('broken', '{ "a":\n1') })).toThrow(/single line, or as JSON/);
  });

  it('is LLM_API_KEY at the addresses of LLM_BASE_URL, and at no other', () => {
    expect([keyOf('http://llm:8000/v1'), keyOf('http://llm:8000/v1/')]).toEqual(['sk-of-all', 'sk-of-all']);
    for (const other of ['http://llm:8001/v1', 'https://llm:8000/v1', 'http://llm:8000/v2', 'http://llm:8000/v1/x']) {
      expect(keyOf(other)).toBeUndefined();
    }
    expect(keysOf(readSettings({ LLM_BASE_URL: 'http://llm:8000/v1' }))('http://llm:8000/v1')).toBeUndefined();
  });

  it.each([
    ['no such variable', { env: 'NO_SUCH_KEY' }, 'apiKey.env'],
    ['no such file', { file: path.join(folder, 'none') }, 'apiKey.file'],
    ['an empty file', { file: file('empty', '\n') }, 'apiKey.file'],
    ['a file of two lines', { file: file('two', 'sk-secret\nsk-other') }, 'apiKey.file'],
  ])('is a mistake in the settings where there is %s, and is not in the message', (_, reference, field) => {
    expect(() => keyOf('http://x/v1', reference)).toThrow(
      expect.objectContaining({
        code: 'INVALID_SETTING',
        message: expect.not.stringContaining('sk-'),
        details: { fields: [expect.objectContaining({ field })] },
      }),
    );
  });
});

describe('a request', () => {
  let servers: SimulatedServer[];
  beforeEach(async () => {
    servers = [await SimulatedServer.start(), await SimulatedServer.start()];
    for (const server of servers) {
      server.json(200, { choices: [{ message: { content: 'ok' }, finish_reason: 'stop' }] });
    }
  });
  afterEach(async () => {
    for (const server of servers) await server.stop();
  });
  const [one, other] = [() => servers[0] as SimulatedServer, () => servers[1] as SimulatedServer];

  /** Calls one model of each pool, and gives the `authorization` headers that each server got. */
  async function called(pools: Record<string, { readonly url: string; readonly apiKey?: object }>) {
    const models = Object.entries(pools).map(([name, { url, apiKey }]) => [
      name,
      { connector: 'openai', model: 'assistant', kind: 'chat', endpoints: [{ url, device: 'gpu' }], apiKey },
    ]);
    const settings = readSettings({ LLM_BASE_URL: one().endpoint, LLM_API_KEY: 'sk-of-all' });
    const made = new Pools({
      models: parseModels(Object.fromEntries(models), 'test'),
      connectors: connectorsOf(settings),
      metrics: createMetrics(),
      logger: quiet,
      canaryIntervalMs: 600_000,
    });
    const { signal } = new AbortController();
    for (const name of Object.keys(pools)) {
      await made
        .get(name)
        .use((backend) => backend.probe('assistant', 'chat', signal), { signal })
        .catch(() => undefined);
    }
    made.close();
    return servers.map(({ received }) => [...new Set(received.map(({ headers }) => headers.authorization))]);
  }

  it('of each of two pools at one server carries its own pool’s key', async () => {
    const { endpoint: url } = other();
    const sent = await called({ a: { url, apiKey: { env: 'KEY_A' } }, b: { url, apiKey: { env: 'KEY_B' } } });
    expect(sent).toEqual([[], ['Bearer sk-of-pool-a', 'Bearer sk-of-pool-b']]);
  });

  it('carries no header where the pool names no key, and LLM_API_KEY goes to LLM_BASE_URL only', async () => {
    const sent = await called({ a: { url: one().endpoint }, b: { url: other().endpoint } });
    expect(sent).toEqual([['Bearer sk-of-all'], [undefined]]);
  });

  it('does not follow a redirect to another server with its key', async () => {
    const { endpoint } = other();
    for (const status of [301, 302, 307, 308]) {
      one().json(status, {}, { location: `${endpoint}/chat/completions` });
      const sent = await called({ a: { url: one().endpoint, apiKey: { env: 'KEY_A' } } });
      expect(sent).toEqual([['Bearer sk-of-pool-a'], []]);
    }
  });
});
