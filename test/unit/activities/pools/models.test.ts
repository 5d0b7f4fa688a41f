import { describe, expect, it } from 'vitest';
import { createConnectors } from '../../../../activities/connectors/index.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { fakePools } from './fakes.js';

const model = {
  connector: 'triton',
  model: 'whisper',
  kind: 'transcribe',
  endpoints: [{ url: 'gpu:8001', device: 'gpu0' }],
};

describe('the models file', () => {
  it('gives endpoints a concurrency of 32', () => {
    expect(parseModels({ whisper: model }, 'models.json').whisper?.endpoints).toEqual([
      { url: 'gpu:8001', device: 'gpu0', concurrency: 32 },
    ]);
  });

  it.each<[string, unknown, string]>([
    ['no object', [], '(root)'],
    ['an empty model name', { '': model }, ''],
    ['no connector', { w: { ...model, connector: undefined } }, 'w.connector'],
    ['an unknown kind', { w: { ...model, kind: 'draw' } }, 'w.kind'],
    ['a code stage', { w: { ...model, kind: 'code' } }, 'w.kind'],
    ['no endpoint', { w: { ...model, endpoints: [] } }, 'w.endpoints'],
    ['an endpoint without device', { w: { ...model, endpoints: [{ url: 'x' }] } }, 'w.endpoints.0.device'],
    [
      'concurrency 0',
      { w: { ...model, endpoints: [{ url: 'x', device: 'd', concurrency: 0 }] } },
      'w.endpoints.0.concurrency',
    ],
    [
      'half a call',
      { w: { ...model, endpoints: [{ url: 'x', device: 'd', concurrency: 1.5 }] } },
      'w.endpoints.0.concurrency',
    ],
    ['a misspelt field', { w: { ...model, endpoint: [] } }, 'w'],
    ['a key in place of its reference', { w: { ...model, apiKey: 'sk-secret' } }, 'w.apiKey'],
    ['two places of a key', { w: { ...model, apiKey: { env: 'KEY', file: 'key' } } }, 'w.apiKey'],
    ['one url twice', { w: { ...model, endpoints: [...model.endpoints, ...model.endpoints] } }, 'w.endpoints'],
  ])('with %s is INVALID_SETTING at its path', (_, value, field) => {
    expect(() => parseModels(value, 'models.json')).toThrow(
      expect.objectContaining({
        code: 'INVALID_SETTING',
        message: expect.stringMatching(/^models\.json: /),
        details: { fields: [expect.objectContaining({ field: expect.stringContaining(field) })] },
      }),
    );
  });
});

describe('pools', () => {
  const parts = { connectors: new Map(), metrics: createMetrics(), logger: console, canaryIntervalMs: 1_000 };

  it('need a connector that exists', () => {
    const models = parseModels({ whisper: model }, 'test');
    expect(() => new Pools({ ...parts, models })).toThrow(expect.objectContaining({ code: 'INVALID_SETTING' }));
  });

  it('need a connector that serves the kind', () => {
    const models = parseModels({ whisper: model }, 'test');
    const connectors = new Map([
      [
        'triton',
        {
          name: 'triton',
          kinds: new Set(['embed'] as const),
          capabilities: new Set<never>(),
          check: () => undefined,
          connect: () => never(),
        },
      ],
    ]);
    expect(() => new Pools({ ...parts, connectors, models })).toThrow(
      /whisper\.kind: triton serves embed, not transcribe/,
    );
  });

  it('need a connector that sends a key where they name one', () => {
    const models = parseModels({ whisper: { ...model, apiKey: { env: 'KEY' } } }, 'test');
    expect(() => new Pools({ ...parts, connectors: createConnectors(), models })).toThrow(
      /whisper\.apiKey: triton sends no key/,
    );
  });

  it('say which models there are when asked for another', () => {
    const { pools } = fakePools(['a']);
    expect(() => pools.get('x')).toThrow(
      expect.objectContaining({ code: 'MODEL_NOT_CONFIGURED', message: expect.stringContaining('configured: m') }),
    );
    pools.close();
  });

  it('close their clients', () => {
    const { pools, backend } = fakePools(['a', 'b']);
    pools.close();
    expect([backend('a').log, backend('b').log]).toEqual([['close'], ['close']]);
  });
});

function never(): never {
  throw new Error('not to be called');
}

describe('the memory of models that are loaded on demand', () => {
  const loaded = (load: object, more: object = {}) => ({ ...model, load, ...more });
  const parse = (models: Record<string, unknown>) => parseModels(models, 'models.json');

  it('is given in units, and is bytes afterwards', () => {
    const { a, b } = parse({
      a: loaded({ memory: '800MiB', of: '4GiB', prefetch: '50 7 * * 1-5' }),
      b: loaded({ memory: '1.5GiB', of: '4GiB', pin: true }),
    });
    expect(a?.load).toEqual({ memory: 800 * 2 ** 20, of: 2 ** 32, pin: false, prefetch: '50 7 * * 1-5' });
    expect(b?.load).toEqual({ memory: 1.5 * 2 ** 30, of: 2 ** 32, pin: true });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['without a unit', { a: loaded({ memory: '800', of: '4GiB' }) }, 'a.load.memory'],
    ['of nothing', { a: loaded({ memory: '0MiB', of: '4GiB' }) }, 'a.load.memory'],
    ['above that of its servers', { a: loaded({ memory: '5GiB', of: '4GiB' }) }, 'a.load.memory'],
    ['with a wrong time', { a: loaded({ memory: '1GiB', of: '4GiB', prefetch: 'daily' }) }, 'a.load.prefetch'],
    [
      'that two pools of a server state differently',
      { a: loaded({ memory: '1GiB', of: '4GiB' }), b: loaded({ memory: '1GiB', of: '8GiB' }, { model: 'b' }) },
      'b.load.of',
    ],
    [
      'that its pinned models exceed',
      {
        a: loaded({ memory: '3GiB', of: '4GiB', pin: true }),
        b: loaded({ memory: '2GiB', of: '4GiB', pin: true }, { model: 'b' }),
      },
      'b.load.pin',
    ],
  ])('%s is INVALID_SETTING', (_, models, field) => {
    expect(() => parse(models)).toThrow(
      expect.objectContaining({
        code: 'INVALID_SETTING',
        details: { fields: [expect.objectContaining({ field })] },
      }),
    );
  });

  it('may be that of one pinned model that two pools have', () => {
    const load = { memory: '3GiB', of: '4GiB', pin: true };
    expect(() => parse({ a: loaded(load), b: loaded(load) })).not.toThrow();
  });

  it('is only for servers that load models, and not for those of others', () => {
    const parts = {
      connectors: createConnectors(),
      metrics: createMetrics(),
      logger: console,
      canaryIntervalMs: 1_000,
    };
    const load = { memory: '3GiB', of: '4GiB' };
    const open = (more: object) => new Pools({ ...parts, models: parse({ a: loaded(load, more) }) });
    expect(() => open({ connector: 'openai', kind: 'chat', endpoints: [{ url: 'http://x/v1', device: 'd' }] })).toThrow(
      /a\.load: openai cannot load and unload models/,
    );
    expect(() => open({ heal: 'off' })).toThrow(/a\.load: .*heal: off/);
  });
});
