import { afterEach, describe, expect, it } from 'vitest';
import { parseMcpServers } from '../../../../activities/mcp/index.js';
import { McpServers } from '../../../../activities/mcp/servers.js';
import { streamingServer } from '../../../support/mcp/streaming-server.js';
import { until } from '../../../support/runs.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function served(behaviour: Parameters<typeof streamingServer>[0]) {
  const server = await streamingServer(behaviour);
  const client = new McpServers(parseMcpServers({ s: { url: server.url } }, 'the test'));
  closing.push(server.close, () => client.close());
  const call = (tool: string, signal = new AbortController().signal) =>
    client.call('s', tool, {}, { signal, idempotencyKey: 'run/answer/turn-1/note' });
  return { server, client, call };
}

describe.each(['2025-11-25', '2026-07-28'] as const)('the request of a call to a server of version %s', (version) => {
  it.each(['silent', 'resumed'])('is closed when the call is given up: %s', async (tool) => {
    const { server, call } = await served({ version });
    const gone = new AbortController();
    const made = call(tool, gone.signal);
    const last = tool === 'resumed' ? 'resumed 7' : tool;
    await until('the server answers', () => server.count(last) > 0);
    gone.abort(new Error('enough'));
    await expect(made).rejects.toThrow('enough');
    await until('the request is closed', () => server.closed.includes(last), 3_000);
    expect(server.count('notifications/cancelled')).toBe(version === '2025-11-25' ? 1 : 0);
  });

  it.each(['cut', 'ends'])('fails the call when its answer breaks off: %s', async (tool) => {
    const { call } = await served({ version });
    await expect(call(tool)).rejects.toMatchObject({
      code: 'TOOL_SERVER_UNAVAILABLE',
      message: 'MCP server "s": its answer broke off',
    });
  });

  it('fails the call when its answer would fill the memory', async () => {
    const { call } = await served({ version });
    await expect(call('many')).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: 'the answer has more than 2000000 objects, lists and members',
    });
  });

  it('is resumed for as often as its stream ends, also where that had nothing', async () => {
    const { server, call } = await served({ version });
    expect(await call('polled')).toBe('done');
    expect(server.count('resumed 7')).toBe(2);
  });

  it('is closed behind its result, whether or not the server ends it', async () => {
    const { server, call } = await served({ version });
    expect(await call('stays')).toBe('done');
    await until('the request is closed', () => server.closed.includes('stays'), 5_000);
    expect(await call('stays')).toBe('done');
  });
});

it.each(['retry: 0\n\n', `retry: ${2 ** 40}\n\n`])(
  'a stream that ends at once is not opened in a loop: %j',
  async (stream) => {
    const { server, call } = await served({ stream });
    const began = performance.now();
    expect(await call('stays')).toBe('done');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    // A second lies between two, and a timer may be early by a millisecond.
    const most = 1 + Math.floor((performance.now() - began) / 990);
    expect(server.count('GET')).toBeLessThanOrEqual(most);
  },
);

it('a request whose answer is too long fails its call, and is not resumed', async () => {
  const { server, call } = await served({});
  await expect(call('endless')).rejects.toMatchObject({
    code: 'TOOL_FAILED',
    message: 'the server’s answer is longer than 64 MiB',
  });
  await until('the request is closed', () => server.closed.includes('endless'), 3_000);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(server.asked.some((each) => each.startsWith('resumed'))).toBe(false);
});

describe('where a stream belongs to no call', () => {
  it('a call may have its result by it, as of old servers', async () => {
    const { call } = await served({ stream: ': \n\n', stays: true });
    expect(await call('elsewhere')).toBe('done');
  });

  it('a call whose answer is empty fails when it is gone', async () => {
    const { server, call } = await served({ stream: ': \n\n', stays: true });
    const made = call('ends');
    made.catch(() => undefined);
    await until('the server answers', () => server.closed.includes('ends') && server.count('GET') > 0, 3_000);
    server.refuseStreams();
    await expect(made).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
  });
});

const plain = { name: 'plain', description: 'Plain', inputSchema: { type: 'object' } };
it.each([
  ['descriptions', { ...plain, description: 'x'.repeat(20_000) }],
  ['names', { ...plain, name: 'x'.repeat(2_000) }],
  ['schemas', { ...plain, inputSchema: { type: 'object', description: 'x'.repeat(300_000) } }],
])('tools with long %s are refused before a further page is asked for', async (_, tool) => {
  const { server, client } = await served({ page: () => ({ tools: [plain, tool], nextCursor: 'more' }) });
  await expect(client.list('s', new AbortController().signal)).rejects.toMatchObject({ code: 'TOOLS_REFUSED' });
  expect(server.count('tools/list')).toBe(1);
});
