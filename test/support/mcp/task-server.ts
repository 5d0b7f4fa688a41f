import { createServer } from 'node:http';
import { createMcpHandler, ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { freePort } from '../free-port.js';
import { listenAt } from '../listen-at.js';

const TASKS = 'io.modelcontextprotocol/tasks';
const ofTask = z.looseObject({ taskId: z.string() });

/** A server of version 2026-07-28 whose only tool, `print`, becomes a task that works until the test ends it. Notes what it is asked. */
export async function taskServer() {
  const asked: { readonly method: string; readonly task?: string }[] = [];
  const ends = new Map<string, object>();
  const handler = createMcpHandler(() => server({ asked, ends }), { legacy: 'reject' });
  const http = createServer(async (request, response) => {
    const { url = '/', method = 'POST', headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = await handler.fetch(
      new Request(new URL(url, 'http://127.0.0.1'), {
        method,
        headers: Object.entries(headers).map(([name, value]) => [name, String(value)] as [string, string]),
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      }),
    );
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  // One that the system chooses may be somebody else's when the server comes back.
  const port = await freePort();
  const open = () => listenAt(http, port);
  await open();
  const close = () => {
    http.closeAllConnections();
    return new Promise<void>((resolve) => http.close(() => resolve()));
  };
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    count: (method: string) => asked.filter((each) => each.method === method).length,
    asked,
    /** Ends a task, `task-1` for the first, with a text. */
    end: (task: string, text: string) => void ends.set(task, { content: [{ type: 'text', text }] }),
    close,
    /** Comes back at the same port. */
    open,
  };
}

interface Noted {
  readonly asked: { method: string; task?: string }[];
  readonly ends: ReadonlyMap<string, object>;
}

function server({ asked, ends }: Noted): Server {
  const own = new Server({ name: 'tasks', version: '1' }, { capabilities: { tools: {}, extensions: { [TASKS]: {} } } });
  const calls = () => asked.filter(({ method }) => method === 'tools/call').length;
  own.setRequestHandler('tools/list', () => ({ tools: [{ name: 'print', inputSchema: { type: 'object' } }] }));
  // The SDK would hold a created task to the schema of a tool's result.
  own.fallbackRequestHandler = async ({ method }) => {
    if (method !== 'tools/call') throw new ProtocolError(ProtocolErrorCode.MethodNotFound, 'Method not found');
    asked.push({ method });
    return { resultType: 'task', taskId: `task-${calls()}`, status: 'working', pollIntervalMs: 100 } as never;
  };
  own.setRequestHandler('tasks/get', { params: ofTask }, ({ taskId }) => {
    asked.push({ method: 'tasks/get', task: taskId });
    if (Number(taskId.replace('task-', '')) > calls())
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no task ${taskId}`);
    const result = ends.get(taskId);
    return { taskId, pollIntervalMs: 100, ...(result ? { status: 'completed', result } : { status: 'working' }) };
  });
  own.setRequestHandler('tasks/cancel', { params: ofTask }, ({ taskId }) => {
    asked.push({ method: 'tasks/cancel', task: taskId });
    return {};
  });
  return own;
}
