import { Readable } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { inspectorOf } from '../../../../media/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(() => gateway?.close());

/** Stores a file of a tenant, and has the door read it by its uri. */
async function read(bytes: Uint8Array, tenant = 'default') {
  gateway ??= await testGateway();
  const { uri } = await gateway.deps.artifacts.put(tenant, Readable.from([bytes]), inspectorOf('file'));
  const { payload } = await gateway.app.inject({
    method: 'POST',
    url: '/mcp',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    payload: { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri } },
  });
  const [data = ''] = /(?<=^data: )\{.*\}$/m.exec(payload) ?? [];
  return {
    uri,
    ...(JSON.parse(data) as { result?: { contents: object[] }; error?: { code: number; message: string } }),
  };
}

it('an artifact is read as text where it is one, else as base64, of the caller’s tenant only, up to 4 MiB', async () => {
  const text = await read(Buffer.from('Notes on mills'));
  expect(text.result?.contents).toEqual([{ uri: text.uri, mimeType: 'text/plain', text: 'Notes on mills' }]);
  const pdf = await read(Buffer.from('%PDF-1.7 mills'));
  const blob = Buffer.from('%PDF-1.7 mills').toString('base64');
  expect(pdf.result?.contents).toEqual([{ uri: pdf.uri, mimeType: 'application/pdf', blob }]);
  expect((await read(Buffer.from('theirs'), 'rival')).error).toMatchObject({ code: -32602 });
  const { error } = await read(Buffer.alloc(4_194_305, 'x'));
  expect(error).toMatchObject({ code: -32602, message: expect.stringContaining('more than 4194304') });
});

it('the files that a batch reads are counted one by one: it holds no more than other responses', async () => {
  gateway = await testGateway({ maxTenantResponseMemoryBytes: 1_000_000 });
  const { uri } = await gateway.deps.artifacts.put(
    'default',
    Readable.from([Buffer.alloc(600_000, 'x')]),
    inspectorOf('file'),
  );
  const { payload } = await gateway.app.inject({
    method: 'POST',
    url: '/mcp',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    payload: [1, 2, 3].map((id) => ({ jsonrpc: '2.0', id, method: 'resources/read', params: { uri } })),
  });
  const answers = [...payload.matchAll(/(?<=^data: )\{.*\}$/gm)].map(([data]) => JSON.parse(data) as object);
  expect(answers).toHaveLength(3);
  expect(answers.filter((answer) => 'result' in answer)).toHaveLength(1);
  expect(answers.filter((answer) => 'error' in answer)).toEqual([
    {
      jsonrpc: '2.0',
      id: expect.any(Number),
      error: expect.objectContaining({ message: expect.stringContaining('MEMORY') }),
    },
    {
      jsonrpc: '2.0',
      id: expect.any(Number),
      error: expect.objectContaining({ message: expect.stringContaining('MEMORY') }),
    },
  ]);
  const held = await gateway.deps.registry.getSingleMetric('millrace_response_bytes_held')?.get();
  expect(held?.values[0]?.value).toBe(0);
});
