import { afterAll, beforeAll, expect, test } from 'vitest';
import { pipelines } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { exampleRequests, isRefused, type OpenApiPaths } from '../support/openapi-examples.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

let served: ServedPipelines;
beforeAll(async () => {
  served = await servePipelines(pipelines as unknown as Pipeline<never>[]);
});
afterAll(() => served?.close());

test('every example of the OpenAPI document can be sent as it is', async () => {
  const { paths } = (await (await fetch(`${served.url}/openapi.json`)).json()) as { paths: OpenApiPaths };
  const { id } = await served.run('speak', { text: 'So.' });
  const requests = exampleRequests(paths, id);
  expect(requests.length).toBeGreaterThan(pipelines.length);
  for (const path of ['/v2/models/', '/versions/1/infer'])
    expect(requests.some((each) => each.path.includes(path))).toBe(true);
  const refused: string[] = [];
  for (const { method, path, headers, body } of requests) {
    // Without a wait: what the models make of the examples is not asserted here.
    const { Prefer: _, ...rest } = headers;
    const response = await fetch(`${served.url}${path}`, { method, headers: rest, body: JSON.stringify(body) });
    const text = await response.text();
    if (isRefused(response.status)) refused.push(`${path} ${response.status} ${text}`);
  }
  expect(refused).toEqual([]);
});
