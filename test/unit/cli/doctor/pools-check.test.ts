import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseModels } from '../../../../activities/pools/index.js';
import { carryOut } from '../../../../cli/doctor/examine.js';
import { CALL_MS } from '../../../../cli/doctor/limits.js';
import { poolChecks } from '../../../../cli/doctor/pools-check.js';
import { NO_CONFIG } from '../../../../workers/config/loaded.js';
import { connectorsOf } from '../../../../workers/connectors.js';
import { readSettings } from '../../../../workers/settings.js';
import { freePort } from '../../../support/free-port.js';

const opened: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) server.close();
});

/** An OpenAI-compatible server that lists one model and answers every chat. */
async function llm({ root = 'weights', chat }: { root?: string; chat?: RequestListener } = {}): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/v1/models') response.end(JSON.stringify({ data: [{ id: 'assistant', root }] }));
    else if (chat) chat(request, response);
    else response.end(JSON.stringify({ choices: [{ message: { content: 'ok' }, finish_reason: 'stop' }] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push({
    close() {
      server.close();
      server.closeAllConnections();
    },
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/v1`;
}

const refusal =
  (status: number, message: string): RequestListener =>
  (_, response) => {
    response.writeHead(status).end(JSON.stringify({ error: { message } }));
  };

const withKey = (urls: readonly string[]) => {
  const llm = urls.filter((url) => url.startsWith('http'));
  return readSettings({ LLM_BASE_URL: llm.join(',') || 'http://127.0.0.1:1/v1', LLM_API_KEY: 'sk-secret-word' });
};

/** What `doctor` finds at a pool of these addresses; `LLM_API_KEY` is for them, unless `settings` say otherwise. */
function check(urls: readonly string[], more: object = {}, settings = withKey(urls)) {
  const endpoints = urls.map((url, i) => ({ url, device: `gpu${i}` }));
  const pool = { connector: 'openai', model: 'assistant', kind: 'chat', endpoints, ...more };
  const connectors = connectorsOf(settings);
  return carryOut(poolChecks(settings, parseModels({ assistant: pool }, 'test'), connectors));
}

describe('an endpoint', () => {
  it('that works: reachable, its version, the time of a call', async () => {
    const url = await llm();
    const findings = await check([url]);
    expect(findings.map(({ id, state, about }) => [id, state, about])).toEqual(
      ['pool.reachable', 'pool.model', 'pool.canary'].map((id) => [id, 'ok', `assistant at ${url}`]),
    );
    expect(findings[0]?.detail).toBe('openai, on gpu0');
    expect(findings[1]?.detail).toMatch(/^"assistant", version [0-9a-f]{16}$/);
    expect(findings[2]?.ms).toBeGreaterThanOrEqual(0);
  });

  it('that is dead beside one that lives: named, with what to do', async () => {
    const dead = `http://127.0.0.1:${await freePort()}/v1`;
    const findings = await check([dead, await llm()]);
    const failed = findings.filter(({ state }) => state === 'fail');
    expect(failed).toEqual([
      {
        id: 'pool.reachable',
        about: `assistant at ${dead}`,
        state: 'fail',
        detail: expect.stringMatching(/^BACKEND_UNAVAILABLE: .*ECONNREFUSED/),
        remedy: 'start the server, or correct LLM_BASE_URL',
      },
    ]);
    expect(findings.filter(({ state }) => state === 'ok')).toHaveLength(4);
  });

  it.each([
    [404, 'The model `assistant` does not exist.', 'pool.model', 'correct LLM_MODEL'],
    [401, 'Incorrect API key: sk-secret-word', 'pool.canary', 'correct LLM_API_KEY'],
    [400, 'bad request', 'pool.canary', 'a chat stage sends'],
    [429, 'slow down', 'pool.canary', 'add an endpoint'],
    [500, 'out of memory', 'pool.canary', 'log'],
  ])('that answers %i %s', async (status, message, id, remedy) => {
    const findings = await check([await llm({ chat: refusal(status, message) })]);
    expect(findings.map(({ id, state }) => [id, state])).toEqual([
      ['pool.reachable', 'ok'],
      [id, 'fail'],
    ]);
    expect(findings[1]?.remedy).toContain(remedy);
    expect(JSON.stringify(findings)).not.toContain('sk-secret-word');
  });

  it('that lists the model but does not end a call of it is busy, or the model hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const findings = await check([await llm({ chat: () => void vi.advanceTimersByTime(CALL_MS) })]);
      expect(findings.map(({ id, state }) => [id, state])).toEqual([
        ['pool.reachable', 'ok'],
        ['pool.canary', 'fail'],
      ]);
      expect(findings[1]).toMatchObject({
        detail: expect.stringContaining(`no answer within ${CALL_MS} ms`),
        remedy: expect.stringContaining('busy'),
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('whose address is none is a mistake in the settings, and hides no other endpoint', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const findings = await check(['not an address', dead], { connector: 'oip-rest', kind: 'embed' });
    expect(findings.map(({ id, about, state }) => [id, about, state])).toEqual([
      ['settings.models', 'assistant at not an address', 'fail'],
      ['pool.reachable', `assistant at ${dead}`, 'fail'],
    ]);
    expect(findings[0]?.detail).toContain('INVALID_SETTING');
  });

  it('of another version than its neighbour is a warning', async () => {
    const findings = await check([await llm({ root: 'old' }), await llm({ root: 'new' })]);
    expect(findings.at(-1)).toMatchObject({ id: 'pool.agreement', state: 'warn', about: 'assistant' });
    expect((await check([await llm(), await llm()])).at(-1)).toMatchObject({ id: 'pool.agreement', state: 'ok' });
  });
});

describe('a key over plain http', () => {
  const keyFindings = async (url: string, more: object = {}) =>
    (await check([url], more)).filter(({ id }) => id === 'pool.key');

  it('is a warning where it leaves this machine, and none where there is no key or the way is TLS', async () => {
    process.env.TEST_POOL_KEY = 'sk-secret-word';
    const named = { apiKey: { env: 'TEST_POOL_KEY' } };
    try {
      const away = 'http://llm.invalid:1/v1';
      expect(await keyFindings(away)).toMatchObject([
        { state: 'warn', about: `assistant at ${away}`, detail: expect.stringContaining('plain http') },
      ]);
      expect(await keyFindings(away, named)).toHaveLength(1);
      expect(await keyFindings('https://llm.invalid:1/v1', named)).toEqual([]);
      expect(await keyFindings(await llm(), named)).toEqual([]);
      const settings = readSettings({ LLM_BASE_URL: 'http://other.invalid/v1', LLM_API_KEY: 'sk-secret-word' });
      expect((await check([away], {}, settings)).filter(({ id }) => id === 'pool.key')).toEqual([]);
    } finally {
      delete process.env.TEST_POOL_KEY;
    }
  });

  it('that is nowhere is a mistake in the settings', async () => {
    const findings = await check([await llm()], { apiKey: { env: 'NO_SUCH_KEY' } });
    expect(findings).toMatchObject([{ id: 'settings.models', state: 'fail' }]);
    expect(findings[0]?.detail).toContain('the environment has no NO_SUCH_KEY');
  });
});

describe('a pool of the configuration', () => {
  const settings = readSettings({}, { ...NO_CONFIG, file: '/srv/millrace.config.ts', models: {} });
  const remedies = async (urls: readonly string[], more: object = {}) =>
    (await check(urls, more, settings)).flatMap(({ remedy }) => remedy ?? []);

  it('is corrected there, not by the settings of the embedded stack', async () => {
    const named = { apiKey: { env: 'TEST_POOL_KEY' } };
    process.env.TEST_POOL_KEY = 'sk-secret-word';
    try {
      const unauthorised = await llm({ chat: refusal(401, 'Incorrect API key') });
      const dead = `http://127.0.0.1:${await freePort()}/v1`;
      const unknown = await llm({ chat: refusal(404, 'The model `assistant` does not exist.') });
      for (const [url, more, remedy] of [
        [unauthorised, {}, 'set the key’s source in /srv/millrace.config.ts'],
        [unauthorised, named, 'correct the key that "apiKey" of the pool in /srv/millrace.config.ts names'],
        [unknown, {}, 'correct its name in /srv/millrace.config.ts'],
        [dead, {}, 'correct its url in /srv/millrace.config.ts'],
        ['x', { connector: 'nobody' }, 'correct /srv/millrace.config.ts'],
      ] as const) {
        const [first = '', ...others] = await remedies([url], more);
        expect([first, others]).toEqual([expect.stringContaining(remedy), []]);
        expect(first).not.toMatch(/LLM_MODEL|LLM_BASE_URL to your own|correct LLM|MILLRACE_MODELS/);
      }
    } finally {
      delete process.env.TEST_POOL_KEY;
    }
  });
});

describe('the servers of a pool', () => {
  it('are called under their names, as workers call them', async () => {
    const hosts: (string | undefined)[] = [];
    const chat: RequestListener = (request, response) => {
      hosts.push(request.headers.host);
      refusal(400, 'bad request')(request, response);
    };
    const url = await llm({ chat });
    const findings = await check([], { endpoints: [{ url, device: 'gpu0', serverName: 'llm.internal' }] });
    expect(new Set(hosts)).toEqual(new Set([`llm.internal:${new URL(url).port}`]));
    expect(findings[0]).toMatchObject({ id: 'pool.reachable', state: 'ok' });
  });

  it('are those that discover finds; that it finds none, or fails, is a failure', async () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-doctor-')), 'endpoints.json');
    const found = (endpoints: readonly unknown[]) => {
      writeFileSync(file, JSON.stringify(endpoints));
      return check([], { endpoints: [], discover: { file } });
    };
    const url = await llm();
    const [reachable] = await found([{ url, device: 'gpu7' }]);
    expect(reachable).toMatchObject({ state: 'ok', about: `assistant at ${url}`, detail: 'openai, on gpu7' });
    expect(await found([])).toEqual([
      expect.objectContaining({ id: 'pool.reachable', state: 'fail', detail: 'its discover finds no server' }),
    ]);
    expect(await check([], { endpoints: [], discover: { file: `${file}.none` } })).toMatchObject([
      { id: 'pool.reachable', state: 'fail', about: 'assistant', detail: expect.stringContaining('ENOENT') },
    ]);
  });
});

describe('a pool', () => {
  it('that no connector can serve is a mistake in the models file', async () => {
    expect(await check(['x'], { connector: 'nobody' })).toMatchObject([
      { id: 'settings.models', state: 'fail', about: 'assistant', detail: expect.stringContaining('known: triton') },
    ]);
    expect(await check(['x'], { kind: 'detect', connector: 'openai' })).toMatchObject([
      { id: 'settings.models', state: 'fail', detail: expect.stringContaining('not detect') },
    ]);
  });
});
