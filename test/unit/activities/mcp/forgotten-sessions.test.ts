import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseMcpServers } from '../../../../activities/mcp/index.js';
import { McpServers } from '../../../../activities/mcp/servers.js';
import { forgetfulServer } from '../../../support/mcp/forgetful-server.js';
import { until } from '../../../support/runs.js';

let server: Awaited<ReturnType<typeof forgetfulServer>>;
let client: McpServers;
beforeEach(async () => {
  server = await forgetfulServer();
  client = new McpServers(parseMcpServers({ s: { url: server.url } }, 'the test'));
});
afterEach(async () => {
  for (const goOn of server.waiting) goOn();
  await client.close();
  await server.close();
});

const signal = new AbortController().signal;
const call = (tool: string) => client.call('s', tool, {}, { signal, idempotencyKey: 'run/answer/turn-1/note' });
const names = async () => (await client.list('s', signal)).map(({ name }) => name);

describe('a remote server that has forgotten the session of a connection', () => {
  it('gets a call that it has not executed again, on a new one', async () => {
    expect(await call('note')).toBe('session-1');
    server.forget(404);
    expect(await call('note')).toBe('session-2');
    expect(await call('note')).toBe('session-2');
    expect(server.counts).toEqual({ opened: 2, calls: 3, refused: 1 });
  });

  it('lists its tools', async () => {
    expect(await names()).toEqual(['note', 'slow']);
    server.forget(404);
    expect(await names()).toEqual(['note', 'slow']);
  });

  it('gets a call that may have had effects once; the next one is made on a new connection', async () => {
    await call('note');
    server.forget(400);
    await expect(call('note')).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
    expect(server.counts).toEqual({ opened: 1, calls: 1, refused: 1 });
    expect(await call('note')).toBe('session-2');
  });

  it('keeps the calls under way on the old connection, and one new connection serves all others', async () => {
    const slow = call('slow');
    await until('the call is under way', () => server.waiting.length === 1);
    server.forget(404);
    expect(await Promise.all([call('note'), call('note'), call('note')])).toEqual([
      'session-2',
      'session-2',
      'session-2',
    ]);
    server.waiting[0]?.();
    expect(await slow).toBe('session-1');
    expect(server.counts.opened).toBe(2);
  });

  it('ends the calls under way on an old connection when the worker closes', async () => {
    const slow = call('slow').catch((error: unknown) => error);
    await until('the call is under way', () => server.waiting.length === 1);
    server.forget(404);
    await call('note');
    await client.close();
    expect(await slow).toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
  });

  it('is left once for calls that it answers with 400, and its session is ended', async () => {
    await call('note');
    for (let i = 0; i < 4; i++)
      await expect(call('status-400')).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
    await until('the session has ended', () => server.ended.length > 0);
    expect(await call('note')).toBe('session-2');
    expect(server.ended).toEqual(['session-1']);
    expect(server.counts.opened).toBe(2);
  });

  it('keeps its connection where it has no sessions', async () => {
    const stateless = await forgetfulServer({ stateless: true });
    const own = new McpServers(parseMcpServers({ s: { url: stateless.url } }, 'the test'));
    try {
      const made = (tool: string) => own.call('s', tool, {}, { signal, idempotencyKey: 'run/answer/turn-1/note' });
      for (const tool of ['status-400', 'status-404'])
        await expect(made(tool)).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
      await made('note');
      expect(stateless.counts).toEqual({ opened: 1, calls: 1, refused: 0 });
    } finally {
      await own.close();
      await stateless.close();
    }
  });
});

describe('a remote server that may ask, and has forgotten the session of a connection', () => {
  const asking = { tenant: 'one' };
  const ask = () => client.callAsking('s', 'note', {}, { signal, idempotencyKey: 'run/answer/turn-1/note', asking });

  it('gets a call that it has not executed again, on a new one', async () => {
    expect(await ask()).toEqual({ result: 'session-1' });
    server.forget(404);
    expect(await ask()).toEqual({ result: 'session-2' });
    expect(await ask()).toEqual({ result: 'session-2' });
    expect(server.counts).toEqual({ opened: 2, calls: 3, refused: 1 });
  });

  it('lists its tools', async () => {
    const names = async () => (await client.list('s', signal, undefined, asking)).map(({ name }) => name);
    expect(await names()).toEqual(['note', 'slow']);
    server.forget(404);
    expect(await names()).toEqual(['note', 'slow']);
  });

  it('gets a call that may have had effects once', async () => {
    await ask();
    server.forget(400);
    await expect(ask()).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
    expect(server.counts).toEqual({ opened: 1, calls: 1, refused: 1 });
    expect(await ask()).toEqual({ result: 'session-2' });
  });
});
