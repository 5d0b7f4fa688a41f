import Fastify from 'fastify';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { collectRoutes, openApiRoutes } from '../../../../gateway/openapi/index.js';
import { COMPONENTS } from '../../../../gateway/openapi/schemas.js';
import { ERRORS } from '../../../../pipelines/errors.js';
import { audio, pipeline } from '../../../../pipelines/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security?: unknown;
  readonly parameters: readonly { name: string; in: string; required?: boolean; schema: object }[];
  readonly requestBody?: { content: Record<string, { schema: Record<string, unknown>; example?: unknown }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, unknown> };
}

let gateway: TestGateway;
let routes: { method: string; url: string }[];
beforeEach(async () => {
  routes = [];
  gateway = await testGateway();
});
afterEach(() => gateway.close());

const get = async () => (await gateway.app.inject('/openapi.json')).json<Document>();
const operations = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

function start(paths: Document['paths'], pipeline: string): Operation {
  const operation = paths[`/v1/pipelines/${pipeline}/runs`]?.post;
  if (!operation) throw new Error(`the document has no start of ${pipeline}`);
  return operation;
}

describe('the document', () => {
  test('has every route of the gateway and no other', async () => {
    const document = await get();
    routes.push(...routesOf(gateway.app.printRoutes({ commonPrefix: false })));
    const inApp = new Set(
      routes
        // The root leads to the explorer.
        .filter(({ url }) => !url.endsWith('*') && url !== '/')
        .map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`),
    );
    const described = operations(document).map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    const ofPipelines = gateway.deps.pipelines.map(({ name }) => `POST /v1/pipelines/${name}/runs`);
    expect(described.toSorted()).toEqual([...inApp, ...ofPipelines].toSorted());
    expect(inApp.size).toBeGreaterThan(10);
  });

  test('refers to what it has, and names each operation once', async () => {
    const document = await get();
    expect(document.openapi).toMatch(/^3\.1\./);
    expectReferencesToHold(document);
    const ids = operations(document).map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, operation } of operations(document)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = operation.parameters.filter((each) => each.in === 'path').map(({ name }) => name);
      expect(declared, path).toEqual(inPath);
    }
  });

  test('has the schemas of each pipeline, with media as it travels', async () => {
    const { paths } = await get();
    const { requestBody, responses } = start(paths, 'listen');
    const content = requestBody?.content ?? {};
    expect(Object.keys(content)).toEqual([
      'application/json',
      'multipart/form-data',
      'audio/*',
      'image/*',
      'application/octet-stream',
    ]);
    expect(content['application/json']?.schema).toMatchObject({
      additionalProperties: false,
      required: ['speech'],
      properties: { speech: { $ref: '#/components/schemas/AudioInput' }, language: { type: 'string', default: 'en' } },
    });
    expect(content['multipart/form-data']?.schema.properties).toMatchObject({
      speech: { type: 'string', format: 'binary' },
    });
    expect(JSON.stringify(responses['200'])).toContain('"heard":{"$ref":"#/components/schemas/Artifact"}');
    expect(Object.keys(paths['/v1/pipelines/compare/runs']?.post?.requestBody?.content ?? {})).not.toContain('audio/*');
    expect(Object.keys(paths['/v1/pipelines/greet/runs']?.post?.requestBody?.content ?? {})).toEqual([
      'application/json',
    ]);
  });

  test('has of each route the codes that it may fail with, by status', async () => {
    const { paths } = await get();
    const codes = (path: string, method: string, status: number) =>
      /"enum":\[([^\]]*)\]/.exec(JSON.stringify(paths[path]?.[method]?.responses[status]))?.[1];
    expect(codes('/v1/runs/{id}/approve', 'post', 409)).toBe('"RUN_ENDED","NOT_WAITING","ALREADY_DECIDED"');
    expect(codes('/v1/runs/{id}', 'get', 404)).toBe('"RUN_NOT_FOUND","ROUTE_NOT_FOUND"');
    expect(codes('/v1/runs/{id}', 'get', 503)).toBe('"ISSUER_UNAVAILABLE","OVERLOADED","ORCHESTRATOR_UNAVAILABLE"');
    expect(codes('/v1/pipelines/greet/runs', 'post', 401)).toBe('"UNAUTHENTICATED"');
    expect(paths['/healthz']?.get?.responses).not.toHaveProperty('401');
    const start = JSON.stringify(paths['/v1/pipelines/{name}/runs']?.post?.responses);
    for (const [code, { status }] of Object.entries(ERRORS)) {
      if (status === 503 && code !== 'GATEWAY_UNAVAILABLE') expect(start, code).toContain(`"${code}"`);
    }
  });
});

test('is made once for all who may use the same pipelines', async () => {
  const [one, two] = ['one', 'two'].map((name) => pipeline(name, { input: z.object({}) }, () => ({})));
  const own = { tag: 'runs', operation: 'start', summary: 'Start', answers: {} };
  const ofPipeline = vi.fn(({ name }: { readonly name: string }) => ({ url: `/start/${name}`, doc: own }));
  const doc = { ...own, ofPipeline };
  const app = Fastify();
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request) => {
    const { may } = request.headers;
    request.caller = { tenant: 'acme', ...(typeof may === 'string' && { pipelines: [may] }) };
  });
  const deps = { pipelines: [one, two] } as unknown as GatewayDeps;
  await openApiRoutes(app, deps, [{ method: 'POST', url: '/start', open: false, doc }]);
  const get = async (headers = {}) => (await app.inject({ url: '/openapi.json', headers })).json<Document>();
  const first = await get();
  expect(ofPipeline).toHaveBeenCalledTimes(2);
  expect(await get()).toEqual(first);
  expect(ofPipeline).toHaveBeenCalledTimes(2);
  await get({ may: 'two' });
  expect(ofPipeline.mock.calls.slice(2).map(([{ name }]) => name)).toEqual(['two']);
  await app.close();
});

test('a schema that contains itself is a component, of all pipelines that have it', async () => {
  const any = (name: string) =>
    pipeline(name, { input: z.object({ value: z.json() }) }, ({ input }) => ({ value: input.value }));
  const other = await testGateway({}, { pipelines: [any('one'), any('two')] });
  const document = (await other.app.inject('/openapi.json')).json<Document>();
  await other.close();
  expectReferencesToHold(document);
  expect(JSON.stringify(document)).not.toContain('$defs');
  const input = start(document.paths, 'one').requestBody?.content['application/json']?.schema;
  expect(input?.properties).toEqual({
    value: { $ref: expect.stringMatching(/^#\/components\/schemas\/Schema0_\w{8}$/) },
  });
  expect(start(document.paths, 'two').requestBody).toEqual(start(document.paths, 'one').requestBody);
});

test('fields may have the names of keywords, and values look like schemas', async () => {
  const input = z.object({
    tensor: z.object({ media: z.string() }),
    $defs: z.string(),
    $ref: z.string(),
    media: z.string(),
    schema: z.object({ media: z.literal('audio') }).default({ media: 'audio' }),
  });
  const other = await testGateway(
    {},
    { pipelines: [pipeline('named', { input }, ({ input }) => ({ tensor: input.tensor }))] },
  );
  const { paths } = (await other.app.inject('/openapi.json')).json<Document>();
  await other.close();
  const { schema } = start(paths, 'named').requestBody?.content['application/json'] ?? {};
  expect(schema).toMatchObject({
    required: ['tensor', '$defs', '$ref', 'media'],
    properties: {
      tensor: { type: 'object', properties: { media: { type: 'string' } } },
      $defs: { type: 'string' },
      $ref: { type: 'string' },
      media: { type: 'string' },
      schema: { default: { media: 'audio' }, properties: { media: { const: 'audio' } } },
    },
  });
});

test('a pipeline’s example is a small input that it takes', async () => {
  const [small, spoken, either] = [
    z.object({
      text: z.string().min(1).max(9),
      mode: z.enum(['fast', 'good']),
      count: z.int().min(3),
      top: z.number().max(0),
      list: z.array(z.object({ on: z.boolean() })).min(1),
      either: z.union([z.literal('a'), z.number()]),
      language: z.string().default('en'),
      left: z.string().optional(),
    }),
    z.object({ speech: audio(), text: z.string() }),
    z.object({ speech: audio().optional(), text: z.string().optional(), more: z.string().optional() }),
  ];
  const other = await testGateway(
    {},
    {
      pipelines: [
        pipeline('small', { input: small }, ({ input }) => ({ text: input.text })),
        pipeline('spoken', { input: spoken }, ({ input }) => ({ text: input.text })),
        pipeline('either', { input: either }, ({ input }) => ({ text: input.text })),
      ],
    },
  );
  const { paths } = (await other.app.inject('/openapi.json')).json<Document>();
  const exampleOf = (name: string) => start(paths, name).requestBody?.content['application/json']?.example as object;
  const example = exampleOf('small');
  expect(Object.keys(example)).toEqual(['text', 'mode', 'count', 'top', 'list', 'either']);
  expect(small.safeParse(example).error).toBeUndefined();
  const run = await other.app.inject({ method: 'POST', url: '/v1/pipelines/small/runs', payload: example });
  expect(run.statusCode).toBe(202);
  expect(exampleOf('spoken')).toMatchObject({ speech: { mime: 'audio/wav' }, text: expect.any(String) });
  expect(Object.keys(exampleOf('either'))).toEqual(['text']);
  await other.close();
});

test('the routes begin where the proxy in front has them', async () => {
  const servers = async (publicUrl?: string) => {
    const other = await testGateway({}, publicUrl === undefined ? {} : { publicUrl });
    const document = (await other.app.inject('/openapi.json')).json<{ servers: object[] }>();
    await other.close();
    return document.servers;
  };
  expect(await servers()).toEqual([{ url: '/' }]);
  expect(await servers('https://mill.test')).toEqual([{ url: '/' }]);
  expect(await servers('https://mill.test/api/')).toEqual([{ url: '/api' }]);
});

describe('what the gateway answers', () => {
  test('fits the document', async () => {
    const post = (url: string, payload: Buffer | object, type = 'application/json') =>
      gateway.app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });
    const run = (await post('/v1/pipelines/listen/runs', wavFile(), 'audio/wav')).json<{ id: string }>();
    const problem = await post('/v1/pipelines/greet/runs', { nane: 'Ada' });
    const strict = (schema: z.ZodObject) => schema.strict();
    strict(COMPONENTS.Run).parse(run);
    strict(COMPONENTS.Run).parse((await gateway.app.inject(`/v1/runs/${run.id}`)).json());
    expect(strict(COMPONENTS.Problem).parse(problem.json())).toMatchObject({ code: 'INVALID_INPUT' });
    const { pipelines } = (await gateway.app.inject('/v1/pipelines')).json<{ pipelines: unknown[] }>();
    expect(z.array(strict(COMPONENTS.Pipeline)).parse(pipelines)).toHaveLength(3);
    strict(COMPONENTS.Readiness).parse((await gateway.app.inject('/readyz')).json());
  });
});

test('a route without a description is missed', async () => {
  const { fastify } = await import('fastify');
  const app = fastify({ exposeHeadRoutes: false });
  const seen = collectRoutes(app);
  app.get('/here', async () => ({}));
  expect(seen.filter(({ doc }) => doc === undefined)).toMatchObject([{ method: 'GET', url: '/here' }]);
});

function expectReferencesToHold(document: Document): void {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, to]) => to as string);
  expect(references.length).toBeGreaterThan(0);
  for (const to of new Set(references)) {
    expect(to).toMatch(/^#\/components\/schemas\/\w+$/);
    expect(document.components.schemas).toHaveProperty(to.replace('#/components/schemas/', ''));
  }
}

/** Fastify's drawing of its routes, without common prefixes: `├── /v1/runs/:id (GET, HEAD)`. */
function routesOf(drawing: string): { method: string; url: string }[] {
  const above: string[] = [];
  return drawing.split('\n').flatMap((line) => {
    const [, indent = '', part = '', methods] = /^((?:│ {3}| {4})*)(?:├|└)── (\S*)(?: \(([^)]*)\))?/.exec(line) ?? [];
    if (part === '') return [];
    const depth = indent.length / 4;
    above.length = depth;
    above.push(part);
    return (methods?.split(', ') ?? []).map((method) => ({ method, url: above.join('') }));
  });
}
