import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Connector } from '../../../../activities/connectors/connector.js';
import { createConnectors } from '../../../../activities/connectors/index.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { acme } from '../../../support/acme/connector.js';

it('has Millrace’s connectors, and those of others beside them', () => {
  const names = ['triton', 'oip-rest', 'openai', 'http', 'torchserve-grpc', 'a2a', 'acme'];
  expect([...createConnectors({ outside: [acme] }).keys()]).toEqual(names);
});

it('refuses two connectors of one name', () => {
  const two = () => createConnectors({ outside: [acme, { ...acme, kinds: new Set(['chat']) }] });
  expect(two).toThrow(expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringContaining('"acme"') }));
  expect(() => createConnectors({ outside: [{ ...acme, name: 'triton' }] })).toThrow('"triton"');
});

it('gives a connector the key of its pool, and none to one that takes no keys', () => {
  const given: (string | undefined)[] = [];
  const takes = (name: string, takesKey: boolean): Connector => ({
    name,
    kinds: acme.kinds,
    capabilities: acme.capabilities,
    ...(takesKey && { takesKey }),
    connect(endpoint, key) {
      given.push(key);
      return acme.connect(endpoint, key);
    },
  });
  const keyOf = () => 'secret';
  const all = createConnectors({ keyOf, outside: [takes('keyed', true), takes('open', false)] });
  for (const name of ['keyed', 'open'])
    all.get(name)?.connect('http://127.0.0.1:1', { kind: 'acme/keywords', apiKey: { env: 'KEY' } });
  expect(given).toEqual(['secret', undefined]);
});

const pool = {
  connector: 'acme',
  model: 'words',
  kind: 'acme/keywords',
  endpoints: [{ url: 'http://x', device: 'd' }],
};
const parts = { metrics: createMetrics(), logger: console, canaryIntervalMs: 60_000 };
const open = (models: object) =>
  new Pools({ ...parts, models: parseModels(models, 'test'), connectors: createConnectors({ outside: [acme] }) });

it('opens pools of an outside kind at an outside connector', () => {
  const pools = open({ words: pool });
  expect(pools.get('words')).toBeDefined();
  pools.close();
});

it.each([
  ['a connector that nobody has', { ...pool, connector: 'acmee' }, 'words.connector', 'did you mean "acme"?'],
  ['a kind that its connector does not serve', { ...pool, kind: 'acme/keyword' }, 'words.kind', '"acme/keywords"?'],
])('names %s and what was probably meant', (_, given, field, meant) => {
  expect(() => open({ words: given })).toThrow(
    expect.objectContaining({
      code: 'INVALID_SETTING',
      message: expect.stringContaining(meant),
      details: { fields: [expect.objectContaining({ field })] },
    }),
  );
});

it.each([
  ['chatt', 'did you mean "chat"?'],
  ['acme/Draw', 'is not the name of a kind made with defineKind'],
  ['approve', 'must be one of transcribe,'],
])('the models file refuses the kind %s', (kind, message) => {
  expect(() => parseModels({ words: { ...pool, kind } }, 'models.json')).toThrow(message);
});

describe('a pool’s options', () => {
  const given: unknown[] = [];
  const tuned: Connector = {
    ...acme,
    name: 'tuned',
    options: (kind) => z.strictObject({ most: z.int().default(3), kind: z.literal(kind).default(kind) }),
    connect(endpoint, key, options) {
      given.push(options);
      return acme.connect(endpoint, key);
    },
  };
  const openWith = (options?: object, connector = 'tuned') =>
    new Pools({
      ...parts,
      models: parseModels({ words: { ...pool, connector, ...(options && { options }) } }, 'test'),
      connectors: createConnectors({ outside: [acme, tuned] }),
    }).close();

  it('reach the connector as its schema gives them', () => {
    openWith({ most: 7 });
    openWith();
    expect(given).toEqual([
      { most: 7, kind: 'acme/keywords' },
      { most: 3, kind: 'acme/keywords' },
    ]);
  });

  it.each([
    ['tuned', { mots: 7 }, 'did you mean "most"?', 'words.options'],
    ['tuned', { most: 'seven' }, 'expected number', 'words.options.most'],
    ['acme', { most: 7 }, 'acme has no options', 'words.options'],
  ])('that %s does not take are named: %j', (connector, options, message, field) => {
    expect(() => openWith(options, connector)).toThrow(
      expect.objectContaining({
        code: 'INVALID_SETTING',
        message: expect.stringContaining(message),
        details: { fields: [expect.objectContaining({ field })] },
      }),
    );
  });
});
