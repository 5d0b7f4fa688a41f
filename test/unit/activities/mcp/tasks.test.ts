import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import { McpServers, parseMcpServers } from '../../../../activities/mcp/index.js';
import type { Json } from '../../../../pipelines/json.js';
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
function calling(resumeFrom?: Json) {
  const left = new AbortController();
  const kept: Json[] = [];
  const result = client.call(
    's',
    'print',
    {},
    {
      signal: left.signal,
      idempotencyKey: 'run/answer/turn-1/print',
      checkpoint: (progress) => void kept.push(progress),
      ...(resumeFrom !== undefined && { resumeFrom }),
    },
  );
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
