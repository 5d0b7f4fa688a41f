import path from 'node:path';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, defineKind, pipeline } from '../../../../pipelines/index.js';
import { checkConfig } from '../../../../workers/config/check.js';
import type { Config } from '../../../../workers/config/define.js';
import { spellPath } from '../../../../workers/config/spell-path.js';
import { connectorsOf } from '../../../../workers/connectors.js';
import { loadDeployment } from '../../../../workers/pipelines.js';
import { readSettings } from '../../../../workers/settings.js';

const check = (config: unknown, file?: string) =>
  checkConfig(config, { ...(file && { file }), at: (at) => `c.ts ${spellPath(at)}`.trim() });

const empty = z.object({});
const work = code('work', { input: empty, output: empty }, () => ({}));
const greet = pipeline('greet', { input: empty }, ({ stage }) => ({ done: stage('work', work, {}) }));
const segment = defineKind({ name: 'acme/segment', input: empty, output: empty, effects: 'none' });
const connector = { name: 'acme', kinds: new Set(), capabilities: new Set(), connect: () => ({}) };
const door = { prefix: '/slack', routes: () => undefined };
const pool = { connector: 'acme', model: 'm', kind: 'chat', endpoints: [{ url: 'http://x', device: 'gpu0' }] };

it.each<[string, unknown, string]>([
  ['no object', 'x', 'c.ts: must be an object, not the text "x"'],
  ['a list', [], 'c.ts: must be an object, not a list'],
  ['a misspelt field', { conectors: [] }, 'c.ts conectors: is no field (did you mean "connectors"?)'],
  [
    'an unknown field',
    { banana: 1 },
    'c.ts banana: is no field (there are pipelines, models, connectors, kinds, doors',
  ],
  ['no path', { pipelines: ' ' }, 'c.ts pipelines: is empty: name a file, or give a list of pipelines'],
  ['a number', { pipelines: 3 }, 'c.ts pipelines: must be the path of a module, or a list of pipelines, not a number'],
  ['no pipeline', { pipelines: [greet, {}] }, 'c.ts pipelines[1]: must be a pipeline, or a function (code) or tool'],
  ['no pools', { models: [] }, 'c.ts models: must be the path of a JSON file, or an object of pools, not a list'],
  ['a wrong pool', { models: { a: { ...pool, kind: 'chatt' } } }, 'c.ts models.a.kind: '],
  ['no list', { connectors: connector }, 'c.ts connectors: must be a list'],
  [
    'a half connector',
    { connectors: [connector, { name: 'x' }] },
    'c.ts connectors[1].kinds: must be a Set, not undefined; c.ts connectors[1].capabilities: must be a Set, not undefined; c.ts connectors[1].connect: must be a function, not undefined',
  ],
  ['a name twice', { connectors: [connector, connector] }, 'c.ts connectors[1].name: "acme" is that of item 0 too'],
  ['no kind', { kinds: ['acme/x'] }, 'c.ts kinds[0]: must be a kind made with defineKind, not the text "acme/x"'],
  ['no door', { doors: [() => undefined] }, 'c.ts doors[0]: must be an object with prefix, routes, not a function'],
  [
    'a wrong prefix',
    { doors: [{ ...door, prefix: 'slack' }] },
    'c.ts doors[0].prefix: must be a path such as "/slack"',
  ],
  ['an unknown store', { stores: { artefacts: {} } }, 'c.ts stores.artefacts: is no field (did you mean "artifacts"?)'],
  [
    'no store',
    { stores: { artifacts: { put: () => 1 } } },
    'c.ts stores.artifacts.stat: must be a function, not undefined',
  ],
  ['no logger', { telemetry: { logger: {} } }, 'c.ts telemetry.logger.child: must be a function, not undefined'],
  [
    'a misspelt setting',
    { settings: { MILLRACE_GATEWAY_PROT: 1 } },
    'c.ts settings.MILLRACE_GATEWAY_PROT: is no setting (did you mean "MILLRACE_GATEWAY_PORT"?)',
  ],
  ['its own place', { settings: { MILLRACE_CONFIG: 'x' } }, 'c.ts settings.MILLRACE_CONFIG: is no setting'],
  ['a wrong value', { settings: { MILLRACE_GATEWAY_PORT: 99_999 } }, 'c.ts settings.MILLRACE_GATEWAY_PORT: Too big'],
  [
    'a wrong type',
    { settings: { MILLRACE_SHED: true } },
    'c.ts settings.MILLRACE_SHED: must be text, a number or a list of texts, not a boolean',
  ],
  [
    'a path twice',
    { pipelines: './p.ts', settings: { MILLRACE_PIPELINES: './p.ts' } },
    'c.ts settings.MILLRACE_PIPELINES: is given as pipelines too: remove one',
  ],
])('%s', (_, config, message) => {
  expect(() => check(config)).toThrow(expect.objectContaining({ code: 'INVALID_SETTING' }));
  expect(() => check(config)).toThrow(message);
});

it('an outside connector does not replace one of Millrace', () => {
  const settings = readSettings({}, check({ connectors: [{ ...connector, name: 'openai' }] }));
  expect(() => connectorsOf(settings)).toThrow('connectors: two connectors are named "openai"');
  expect(connectorsOf(readSettings({}, check({ connectors: [connector] }))).get('acme')).toMatchObject({
    name: 'acme',
  });
});

it('every mistake is named', () => {
  expect(() => check({ pipeline: [], doors: {} })).toThrow(/c\.ts pipeline: .*; c\.ts doors: /);
});

it('a whole configuration is carried', async () => {
  const file = path.resolve('/app/millrace.config.ts');
  const config = {
    pipelines: './pipelines/index.ts',
    models: { assistant: pool } as unknown as NonNullable<Config['models']>,
    connectors: [connector],
    kinds: [segment],
    doors: [door],
    settings: { MILLRACE_GATEWAY_PORT: 8080, LLM_BASE_URL: ['http://a/v1', 'http://b/v1'] },
  };
  const loaded = check(config, file);
  expect(loaded).toMatchObject({
    file,
    settings: {
      MILLRACE_PIPELINES: '/app/pipelines/index.ts',
      MILLRACE_GATEWAY_PORT: '8080',
      LLM_BASE_URL: 'http://a/v1,http://b/v1',
    },
    connectors: [connector],
    kinds: [segment.definition],
    doors: [door],
  });
  const settings = readSettings({ MILLRACE_GATEWAY_PORT: '9090', MILLRACE_PIPELINES: '' }, loaded);
  // The environment wins; an empty variable counts as unset.
  expect(settings.MILLRACE_GATEWAY_PORT).toBe(9090);
  expect(settings.MILLRACE_PIPELINES).toBe('/app/pipelines/index.ts');
  expect(settings.LLM_BASE_URL).toEqual(['http://a/v1', 'http://b/v1']);
  expect(settings.config).toBe(loaded);
  const without = readSettings({ MILLRACE_PIPELINES: 'test/support/acme/pipelines.ts' }, loaded);
  await expect(loadDeployment(without)).resolves.toMatchObject({
    kinds: expect.arrayContaining([segment.definition]),
  });
});

it('pipelines themselves are served, unless the environment names a module', async () => {
  const settings = readSettings({ MILLRACE_BUILD_ID: 'b1' }, check({ pipelines: [greet] }));
  const { pipelines, functions } = await loadDeployment(settings);
  expect(pipelines.map(({ name }) => name)).toEqual(['greet']);
  expect(functions).toMatchObject([{ name: 'work', version: 'build-b1' }]);
  const other = readSettings({ MILLRACE_PIPELINES: 'test/support/acme/pipelines.ts' }, check({ pipelines: [greet] }));
  expect((await loadDeployment(other)).pipelines.map(({ name }) => name)).not.toContain('greet');
});

it('a program’s configuration needs a build id for functions without a version', async () => {
  const settings = readSettings({}, check({ pipelines: [greet] }));
  await expect(loadDeployment(settings)).rejects.toThrow('the function "work" has no version: set the build id');
});
