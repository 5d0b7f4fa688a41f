import { describe, expect, it } from 'vitest';
import type { Backend, Call, CallContext } from '../../../../activities/connectors/connector.js';
import { PRESETS } from '../../../../activities/connectors/http/index.js';
import { createConnectors } from '../../../../activities/connectors/index.js';
import { connectorOf, parseModels } from '../../../../activities/pools/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { loopbackServer } from './loopback-server.js';

/* Several calls as one request, of pools with `microBatch`. The gathering is tested with the pools. */

const server = loopbackServer();
const connectors = createConnectors();

function poolOf(connector: string, kind: string, options: object | undefined, more: object = {}) {
  const endpoints = [{ url: `${server.url || 'http://x'}${connector === 'openai' ? '/v1' : ''}`, device: 'd' }];
  const pool = { connector, kind, model: 'm', endpoints, ...(options && { options }), ...more };
  const parsed = parseModels({ it: pool }, 'models.json').it;
  if (!parsed) throw new Error('no pool');
  return parsed;
}
const joining = (connector: string, kind: string, options?: object) => {
  const pool = poolOf(connector, kind, options);
  return connectorOf('it', pool, connectors).joins?.(pool);
};

describe('pools that can send several calls as one', () => {
  it('are those of presets whose request has the texts of a call as a list', () => {
    const values: Readonly<Record<string, object>> = {
      'bentoml-task': { route: 'r' },
      sagemaker: { region: 'eu-west-1' },
      'sagemaker-async': { region: 'eu-west-1' },
    };
    const more: Readonly<Record<string, object>> = { 'sagemaker-async': { objects: { inputs: 's3://jobs' } } };
    const able = [...PRESETS].flatMap(([preset, { kinds }]) =>
      ['embed', 'classify', 'rerank']
        .filter((kind) => Object.hasOwn(kinds, kind))
        .filter((kind) => {
          const known = Object.fromEntries(
            Object.entries(PRESETS.get(preset)?.values ?? {}).flatMap(([name, { required }]) =>
              required ? [[name, 'v']] : [],
            ),
          );
          return joining('http', kind, { preset, values: { ...known, ...values[preset] }, ...more[preset] });
        })
        .map((kind) => `${preset} ${kind}`),
    );
    expect(able.toSorted()).toEqual([
      'azureml embed',
      'bentoml embed',
      'kserve-v1 classify',
      'kserve-v1 embed',
      'kserve-v1 rerank',
      'litserve embed',
      'pai-eas embed',
      'ray-serve embed',
      'sagemaker embed',
      'tensorflow-serving classify',
      'tensorflow-serving embed',
      'vertex classify',
      'vertex embed',
    ]);
  });

  const request = (json: object, headers?: object) => ({
    request: { path: '/x', json, ...(headers && { headers }) },
    response: { output: { embeddings: '$/body' } },
  });
  const ranks = (output: object | undefined) => ({
    request: { path: '/x', json: { pairs: '$/pairs' } },
    ...(output && { response: { output } }),
  });
  it.each<[string, string, string, object | undefined, string | undefined]>([
    ['texts', 'http', 'embed', request({ t: '$/texts' }), 'together'],
    ['one of the texts', 'http', 'embed', request({ t: { $each: '/texts', as: '$/item' } }), 'together'],
    ['the text of the input', 'http', 'embed', request({ t: '$/input/text' }), undefined],
    ['a text of one call beside them', 'http', 'embed', request({ t: '$/texts', a: '$/input/text' }), undefined],
    ['the options and input of one call', 'http', 'embed', request({ t: '$/texts', a: '$/given' }), undefined],
    ['an option', 'http', 'embed', request({ t: '$/texts', a: { $from: '/given/as', optional: true } }), 'together'],
    ['a header of the tenant', 'http', 'embed', request({ t: '$/texts' }, { 'x-t': '$/call/tenant' }), 'apart'],
    ['the tenant beside others', 'http', 'embed', request({ t: '$/texts', c: '$/call' }), 'apart'],
    [
      'the tenant in a query',
      'http',
      'embed',
      { ...request({ t: '$/texts' }), headers: { a: '$/call/tenant' } },
      'apart',
    ],
    ['pairs', 'http', 'rerank', ranks({ scores: '$/body' }), 'together'],
    // An index into the passages of one call, of the best of them only: nobody can say whose a result is.
    ['results with an index', 'http', 'rerank', ranks({ results: '$/body/results' }), undefined],
    ['whatever the server answers', 'http', 'rerank', ranks(undefined), undefined],
    ['a salt of the tenant', 'openai', 'embed', undefined, 'apart'],
    ['no salt', 'openai', 'embed', { cacheSalt: 'off' }, 'together'],
    ['a router', 'openai', 'embed', { cacheSalt: 'off', router: 'external' }, 'apart'],
    ['an LLM', 'openai', 'classify', undefined, undefined],
    ['a server that batches', 'triton', 'embed', undefined, undefined],
  ])('%s: %s %s', (_, connector, kind, options, tenants) => {
    expect(joining(connector, kind, options)?.tenants).toBe(tenants);
  });

  it('others are refused when the models file is read', () => {
    const pool = poolOf('triton', 'embed', undefined, { microBatch: {} });
    expect(pool.microBatch).toEqual({ waitMs: 5, most: 32 });
    expect(() => connectorOf('it', pool, connectors)).toThrow(
      expect.objectContaining({
        code: 'INVALID_SETTING',
        details: { fields: [expect.objectContaining({ field: 'it.microBatch' })] },
      }),
    );
    for (const microBatch of [{ waitMs: 0 }, { waitMs: 1_001 }, { most: 1 }, { most: 2_049 }, { wait: 5 }]) {
      expect(() => poolOf('http', 'embed', { preset: 'litserve' }, { microBatch })).toThrow(
        expect.objectContaining({ code: 'INVALID_SETTING' }),
      );
    }
  });
});

describe('joined calls', () => {
  const backend = (kind: string, options: object): Backend => {
    const pool = poolOf('http', kind, options);
    return connectorOf('it', pool, connectors).connect(pool.endpoints[0]?.url ?? '', pool);
  };
  const invoke = (kind: string, options: object, input: JsonObject, given: JsonObject = {}) => {
    const call: Call = { kind, model: 'm', with: given, input };
    return backend(kind, options).invoke(call, { signal: AbortSignal.timeout(110_000) } as unknown as CallContext);
  };
  const answers = (body: unknown) => server.gives(200, JSON.stringify(body), { 'content-type': 'application/json' });
  const sent = () => JSON.parse(server.received.at(-1)?.body ?? 'null') as unknown;
  const labels = { labels: ['x', 'y'] };

  it('of classify have a result for each text, and one alone is as it was', async () => {
    answers({ predictions: [[0.9, 0.1], { x: 0.2, y: 0.8 }] });
    const { output } = await invoke('classify', { preset: 'kserve-v1' }, { texts: ['a', 'b'] }, labels);
    expect(sent()).toEqual({ instances: ['a', 'b'] });
    expect(output).toEqual({
      results: [
        { label: 'x', score: 0.9, scores: { x: 0.9, y: 0.1 } },
        { label: 'y', score: 0.8, scores: { x: 0.2, y: 0.8 } },
      ],
    });
    for (const scores of [
      [0.3, 0.7],
      { x: 0.3, y: 0.7 },
      [
        { label: 'y', score: 0.7 },
        { label: 'x', score: 0.3 },
      ],
    ]) {
      answers({ predictions: [scores] });
      expect((await invoke('classify', { preset: 'kserve-v1' }, { text: 'a' }, labels)).output).toMatchObject({
        label: 'y',
        scores: { x: 0.3, y: 0.7 },
      });
      expect(sent()).toEqual({ instances: ['a'] });
    }
  });

  it.each([[[[0.9, 0.1]]], ['none'], [[[0.9, 0.1], [0.5]]]])(
    'with a wrong number of results are nobody’s: %j',
    async (predictions) => {
      answers({ predictions });
      const asked = invoke('classify', { preset: 'kserve-v1' }, { texts: ['a', 'b'] }, labels);
      await expect(asked).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    },
  );

  it('of rerank have a score for each pair', async () => {
    answers({ predictions: [0.5, [0.25]] });
    const pairs = [
      { query: 'p', text: 'a' },
      { query: 'q', text: 'b' },
    ];
    const { output } = await invoke('rerank', { preset: 'kserve-v1' }, { pairs });
    expect([sent(), output]).toEqual([{ instances: pairs }, { scores: [0.5, 0.25] }]);
    answers({ predictions: [0.5, 0.75] });
    const passages = ['a', 'b'].map((text) => ({ id: text, text }));
    const { output: alone } = await invoke('rerank', { preset: 'kserve-v1' }, { query: 'q', passages }, { top: 1 });
    expect(sent()).toEqual({
      instances: [
        { query: 'q', text: 'a' },
        { query: 'q', text: 'b' },
      ],
    });
    expect(alone).toEqual({ passages: [{ id: 'b', text: 'b', score: 0.75 }] });
  });
});
