import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import { parseMcpServers } from '../../../../activities/mcp/index.js';
import { McpServers } from '../../../../activities/mcp/servers.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { taskServer } from '../../../support/mcp/task-server.js';
import { until } from '../../../support/runs.js';

let server: Awaited<ReturnType<typeof taskServer>>;
let client: McpServers;
beforeEach(async () => {
  server = await taskServer();
  client = new McpServers(parseMcpServers({ s: { url: server.url } }, 'the test'));
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const asked = (method: string) => until(`the server is asked ${method}`, () => server.count(method) > 0);

/** A call of the only tool, which may be left, and what it has kept. */
function calling(resumeFrom?: Json, { of = client, given = {} }: { of?: McpServers; given?: JsonObject } = {}) {
  const left = new AbortController();
  const kept: Json[] = [];
  const result = of.call('s', 'print', given, {
    signal: left.signal,
    idempotencyKey: 'run/answer/turn-1/print',
    checkpoint: (progress) => void kept.push(progress),
    ...(resumeFrom !== undefined && { resumeFrom }),
  });
  // It is awaited when the test has looked at the server.
  result.catch(() => undefined);
  return { result, kept, leave: (why: Error) => left.abort(why) };
}

describe('a call that has become a task', () => {
  it('is kept as the task, with which the next attempt goes on', async () => {
    const first = calling();
    await asked('tasks/get');
    expect(first.kept).toEqual([{ task: 'task-1' }]);
    first.leave(new HandedOver());
    await expect(first.result).rejects.toBeInstanceOf(HandedOver);
    const next = calling(first.kept[0]);
    server.end('task-1', 'printed');
    expect(await next.result).toBe('printed');
    expect(server.count('tools/call')).toBe(1);
    expect(server.count('tasks/cancel')).toBe(0);
  });

  it('is cancelled when it is given up', async () => {
    const given = calling();
    await asked('tasks/get');
    given.leave(new Error('given up'));
    await expect(given.result).rejects.toThrow('given up');
    await asked('tasks/cancel');
    expect(given.kept).toEqual([{ task: 'task-1' }, null]);
  });

  it('is a failure of the tool when the server knows it no more, and is not called again', async () => {
    await expect(calling({ task: 'task-7' }).result).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringMatching(/task-7 .*there is no task task-7/),
    });
    expect(server.count('tools/call')).toBe(0);
  });

  it('goes on when the server comes back', async () => {
    const { result } = calling();
    await asked('tasks/get');
    await server.close();
    server.end('task-1', 'printed');
    await server.open();
    expect(await result).toBe('printed');
    expect(server.count('tools/call')).toBe(1);
  });
});

describe('a task of a server in a process of the worker', () => {
  let own: McpServers;
  beforeEach(() => {
    const s = { command: process.execPath, args: ['test/fixtures/mcp-task-server.mjs'] };
    own = new McpServers(parseMcpServers({ s }, 'the test'));
  });
  afterEach(() => own.close());

  it('is awaited, and not kept: the process of another worker may have another task by its id', async () => {
    const { result, kept } = calling(undefined, { of: own });
    expect(await result).toBe('printed');
    expect(kept).toEqual([]);
  });

  it.each([
    ['ends with its process, and is not asked for in the next one', undefined, { dies: true }],
    ['is not asked for by an attempt that has not begun it', { task: 'task-1' }, {}],
  ])('%s', async (_, resumeFrom, given) => {
    const { result } = calling(resumeFrom, { of: own, given });
    await expect(result).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
  });
});
