import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { exampleOf } from '../../../../gateway/openapi/example.js';
import { pipelines as catalogue } from '../../../../pipelines/catalog/index.js';
import { jsonSchema } from '../../../../pipelines/definition/schema.js';
import { audio, image, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { exampleRequests, isRefused, type OpenApiPaths } from '../../../support/openapi-examples.js';
import { testGateway } from '../../../support/test-gateway.js';

const own = [
  pipeline(
    'nested',
    { input: z.object({ clip: z.object({ sound: audio(), title: z.string().min(40) }) }) },
    ({ input }) => ({
      title: input.clip.title,
    }),
  ),
  pipeline('seen', { input: z.object({ pictures: z.array(image()).min(1) }) }, ({ input }) => ({
    pictures: input.pictures,
  })),
  pipeline(
    'formats',
    {
      input: z.object({
        at: z.iso.datetime(),
        mail: z.email(),
        id: z.uuid(),
        link: z.url(),
        even: z.int().multipleOf(2).gt(4),
        share: z.number().gt(0).lt(1),
        pair: z.tuple([z.string(), z.number()]),
        maybe: z.string().nullable(),
        tagged: z.discriminatedUnion('kind', [z.object({ kind: z.literal('a'), n: z.number() })]),
      }),
    },
    ({ input }) => ({ at: input.at }),
  ),
  pipeline('refined', { input: z.object({ word: z.string().refine((word) => word === 'secret') }) }, ({ input }) => ({
    word: input.word,
  })),
] as unknown as Pipeline[];

test('every example of the document is accepted as it is', async () => {
  const gateway = await testGateway({}, { pipelines: [...own, ...catalogue], placementOf: () => ({}) });
  gateway.temporal.onStart = (run) => run.end({ output: {}, stages: [] });
  const { paths } = (await gateway.app.inject('/openapi.json')).json<{ paths: OpenApiPaths }>();
  const started = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/formats/runs',
    payload: exampleRequests(paths).find(({ path }) => path.startsWith('/v1/pipelines/formats/'))?.body ?? {},
  });
  const requests = exampleRequests(paths, started.json<{ id: string }>().id);
  const refused: string[] = [];
  for (const { method, path, headers, body } of requests) {
    const response = await gateway.app.inject({ method: method as 'POST', url: path, headers, payload: body });
    if (isRefused(response.statusCode)) refused.push(`${path} ${response.statusCode} ${response.body}`);
  }
  expect(refused).toEqual([]);
  const sent = requests.map(({ path }) => path.split('?', 1)[0]);
  for (const name of ['nested', 'seen', 'formats', ...catalogue.map(({ name: each }) => each)]) {
    expect(sent).toContain(`/v1/pipelines/${name}/runs`);
  }
  for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/embeddings', '/v1/audio/speech', '/mcp'])
    expect(sent).toContain(path);
  // No value is told by the schema.
  expect(sent).not.toContain('/v1/pipelines/refined/runs');
  await gateway.close();
});

test('examples name models that there are', async () => {
  const gateway = await testGateway({}, { pipelines: own });
  const { paths } = (await gateway.app.inject('/openapi.json')).json<{ paths: OpenApiPaths }>();
  expect(exampleRequests(paths).map(({ path }) => path.split('?', 1)[0])).not.toContain('/v1/chat/completions');
  await gateway.close();
});

test('a number within any bounds is found', () => {
  const bound = fc.option(fc.integer({ min: -50, max: 50 }), { nil: undefined });
  fc.assert(
    fc.property(bound, bound, fc.boolean(), (low, high, whole) => {
      let schema = whole ? z.int() : z.number();
      if (low !== undefined) schema = schema.min(low);
      if (high !== undefined && high > (low ?? -51)) schema = schema.max(high);
      expect(schema.safeParse(exampleOf(jsonSchema(schema, 'input'))).success).toBe(true);
    }),
  );
});
