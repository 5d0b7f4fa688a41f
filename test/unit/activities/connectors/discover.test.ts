import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discover } from '../../../../activities/connectors/discover/index.js';
import { createConnectors } from '../../../../activities/connectors/index.js';
import { connectorOf, parseModels } from '../../../../activities/pools/index.js';
import { discoverModels } from '../../../../cli/models.js';
import { readSettings } from '../../../../workers/settings.js';
import { freePort } from '../../../support/free-port.js';
import { loopbackServer } from './loopback-server.js';
import { fixture } from './servers/fixture-server.js';
import { kserveV1, rayServe, tensorflowServing, tgi, torchserve } from './servers/fixtures.js';

/* Fixtures of servers; those that install are discovered in test/servers/. */

const server = loopbackServer();
const signal = () => AbortSignal.timeout(110_000);

/** Answers these paths, and 404 else. */
const answers = (routes: Readonly<Record<string, unknown>>) => {
  server.answer = (response, { method, url }) => {
    const body = routes[url] ?? routes[`${method} ${url}`];
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(body === undefined ? '{"detail":"Not Found"}' : JSON.stringify(body));
  };
};
const listed = (owner: string, ...ids: string[]) => ({
  '/v1/models': { object: 'list', data: ids.map((id) => ({ id, object: 'model', owned_by: owner })) },
});

describe('servers by their answers', () => {
  it.each<[string, Readonly<Record<string, unknown>>, string, object]>([
    ['vLLM', listed('vllm', 'Qwen/Qwen3-8B'), 'openai', { 'qwen3-8b': { kind: 'chat', model: 'Qwen/Qwen3-8B' } }],
    [
      'a server of OpenAI’s API',
      listed('me', 'bge-reranker', 'e5-large', 'jina-embed-rerank'),
      'openai',
      { 'bge-reranker': { kind: 'rerank' }, 'e5-large': { kind: 'embed' }, 'jina-embed-rerank': { kind: 'rerank' } },
    ],
    [
      'vLLM',
      listed('vllm', 'a/llama', 'b/llama', 'b/Llama', 'a-llama', 'a/other'),
      'openai',
      {
        'a-llama-2': { model: 'a/llama' },
        'b-llama': { model: 'b/llama' },
        'b-llama-2': { model: 'b/Llama' },
        'a-llama': { model: 'a-llama' },
        other: { model: 'a/other' },
      },
    ],
    [
      'Ollama',
      { '/api/tags': { models: [{ name: 'llama3:8b' }] }, ...listed('library', 'llama3:8b') },
      'openai',
      { 'llama3-8b': { model: 'llama3:8b' } },
    ],
    [
      'a server of the KServe v2 protocol',
      { 'POST /v2/repository/index': [{ name: 'whisper', state: 'READY' }] },
      'oip-rest',
      { whisper: { kind: 'infer' } },
    ],
    [
      'a server of the KServe v2 protocol',
      { '/v2': { name: 'triton', version: '2.51.0' } },
      'oip-rest',
      { model: { model: 'model' } },
    ],
    [
      'KServe, language models',
      {
        '/v1/models': { models: ['a', 'b'] },
        '/openai/v1/models': { object: 'list', data: [{ id: 'b', object: 'model', owned_by: '' }] },
      },
      'openai',
      { b: { kind: 'chat', endpoints: [{ url: expect.stringMatching(/\/openai\/v1$/) }] } },
    ],
    [
      'KServe (v1)',
      { '/v1/models': { models: ['a', 'b'] }, '/openai/v1/models': { object: 'list', data: [] } },
      'http',
      { a: { options: { preset: 'kserve-v1' } }, b: {} },
    ],
  ])('%s: %j', async (name, routes, connector, pools) => {
    answers(routes);
    const found = await discover(`${server.url}/v1`, { signal: signal() });
    expect(found).toMatchObject({ server: name, pools });
    for (const [, pool] of Object.entries(parseModels(found?.pools, 'found'))) {
      expect(pool.connector).toBe(connector);
      expect(connectorOf('it', pool, createConnectors()).name).toBe(connector);
    }
    for (const { method, url } of server.received)
      expect(method === 'GET' || url === '/v2/repository/index').toBe(true);
  });

  it.each([
    ['TorchServe', torchserve],
    ['TensorFlow Serving', tensorflowServing],
    ['Text Generation Inference', tgi],
    ['Ray Serve', rayServe],
  ] as const)('%s (a fixture)', async (name, tell) => {
    const one = await fixture(tell);
    try {
      expect(await discover(one.url, { models: ['model'], signal: signal() })).toMatchObject({ server: name });
    } finally {
      await one.close();
    }
  });

  it('says what to do about a key, once it knows', async () => {
    server.answer = (response) => void response.writeHead(400).end('{"type":"InvalidKeyException"}');
    const notes = async (key?: string) =>
      (await discover(server.url, { signal: signal(), ...(key && { key }) }))?.notes.join('\n');
    expect(await notes()).toContain('requires a key, and none was sent: add "apiKey"');
    expect(await notes('wrong')).toContain('refuses the key that was sent');
    answers(listed('vllm', 'a'));
    expect(await notes('right')).toBe('');
  });

  it('does not guess, and says when nothing answers', async () => {
    answers({});
    expect(await discover(server.url, { signal: signal() })).toBeUndefined();
    const nobody = `http://127.0.0.1:${await freePort()}`;
    await expect(discover(nobody, { signal: signal() })).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    await expect(discover('ftp://x', { signal: signal() })).rejects.toMatchObject({ code: 'INVALID_SETTING' });
    const one = await fixture(kserveV1);
    expect(await discover(one.url, { signal: signal() })).toBeUndefined();
    await one.close();
  });

  it('sends the key, and bounds what it takes over', async () => {
    answers({
      '/v1/models': {
        object: 'list',
        data: [
          { id: '__proto__' },
          { id: 7 },
          { id: 'x'.repeat(10_000) },
          ...Array.from({ length: 500 }, (_, i) => ({ id: `m${i}` })),
        ],
      },
    });
    const found = await discover(server.url, { key: 'secret-of-it', signal: signal() });
    expect(server.received.every(({ headers }) => headers.authorization === 'Bearer secret-of-it')).toBe(true);
    expect(Object.keys(found?.pools ?? {}).length).toBeLessThanOrEqual(100);
    expect(JSON.stringify(found)).not.toContain('secret-of-it');
    expect(Object.getPrototypeOf(found?.pools)).toBe(Object.prototype);
  });
});

describe('millrace models discover --write', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'millrace-discover-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('adds pools to a models file and changes none that it has', async () => {
    const file = path.join(folder, 'models.json');
    const own = { connector: 'openai', kind: 'embed', model: 'mine', endpoints: [{ url: 'http://x/v1', device: 'd' }] };
    writeFileSync(file, JSON.stringify({ a: own }));
    answers({ '/v1/models': { models: ['a', 'b'] } });
    await discoverModels(readSettings({}), server.url, { model: [], device: 'gpu0', write: file });
    const written = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>;
    expect(written.a).toEqual(own);
    expect(written.b).toMatchObject({ connector: 'http', endpoints: [{ url: server.url, device: 'gpu0' }] });
  });
});
