import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as OldWire } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseMcpServers } from '../../activities/mcp/index.js';
import type { KeepMedia } from '../../activities/mcp/result.js';
import { McpServers } from '../../activities/mcp/servers.js';
import type { Pipeline } from '../../pipelines/index.js';
import { CallLog, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { unlessStill } from '../support/unless-still.js';

const MODULE = 'test/fixtures/mcp-pipelines.mjs';
const fixtures = (await import('../fixtures/mcp-pipelines.mjs' as string)) as Record<string, Pipeline>;
const TASKS = 'io.modelcontextprotocol/tasks';

let served: ServedPipelines;

beforeAll(async () => {
  const all = Object.values(fixtures) as unknown as Parameters<typeof servePipelines>[0];
  served = await servePipelines(all, { more: { MILLRACE_PIPELINES: MODULE } });
});
afterAll(() => served.close());

const info = { name: 'millrace-test', version: '1' };
const url = () => new URL(`${served.url}/mcp`);

/** The newest SDK's client, whose user answers forms. */
async function client(answer?: (message: string) => Record<string, string | boolean>) {
  const capabilities = { ...(answer && { elicitation: { form: {} } }) };
  const own = new Client(info, { capabilities, versionNegotiation: { mode: 'auto' } });
  const asked: string[] = [];
  if (answer) {
    own.setRequestHandler('elicitation/create', async ({ params: { message } }) => {
      asked.push(message);
      return { action: 'accept', content: answer(message) };
    });
  }
  await own.connect(new StreamableHTTPClientTransport(url()));
  return { own, asked };
}

/** The SDK's client of before, whose user answers forms. */
async function oldClient(answer: () => Promise<boolean> | boolean) {
  const own = new OldClient(info, { capabilities: { elicitation: { form: {} } } });
  const asked: string[] = [];
  own.setRequestHandler(ElicitRequestSchema, async ({ params: { message } }) => {
    asked.push(message);
    return { action: 'accept', content: { confirm: await answer() } };
  });
  await own.connect(new OldTransport(url()) as OldWire);
  return { own, asked };
}

describe('MCP 2026-07-28', () => {
  it('is what the newest client speaks with the door', async () => {
    const { own } = await client();
    expect(own.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    const { tools } = await own.listTools();
    expect(tools.map(({ name }) => name)).toContain('greet');
    expect(await own.callTool({ name: 'greet', arguments: { name: 'Ada' } })).toMatchObject({
      structuredContent: { text: 'Hello, Ada!' },
    });
    await own.close();
  });

  it.each([true, false])('has its client’s user decide what a run waits for: %s', async (confirm) => {
    const { own, asked } = await client(() => ({ confirm }));
    const { structuredContent } = await own.callTool({ name: 'confirm_delete', arguments: { filename: 'a.txt' } });
    expect(structuredContent).toEqual({ approved: confirm, by: 'person' });
    expect(asked).toEqual([expect.stringContaining('a.txt')]);
    await own.close();
  });

  it('takes the reason of the decision', async () => {
    const { own } = await client(() => ({ confirm: false, reason: 'still needed', scope: 'session' }));
    const { structuredContent } = await own.callTool({ name: 'confirm_reason', arguments: {} });
    expect(structuredContent).toEqual({ approved: false, reason: 'still needed' });
    await own.close();
  });

  it('asks for all that a run waits for', async () => {
    const { own, asked } = await client((message) => ({ confirm: message.includes('first') }));
    const { structuredContent } = await own.callTool({ name: 'multi_input', arguments: {} });
    expect(structuredContent).toEqual({ one: true, two: false });
    expect(asked).toHaveLength(2);
    await own.close();
  });

  it('asks for fields that a call lacks, and says which where nobody can be asked', async () => {
    const { own, asked } = await client(() => ({ name: 'Grace' }));
    expect(await own.callTool({ name: 'greet', arguments: {} })).toMatchObject({
      structuredContent: { text: 'Hello, Grace!' },
    });
    expect(asked).toEqual(['greet needs name']);
    await own.close();
    const { own: alone } = await client();
    expect(await alone.callTool({ name: 'greet', arguments: {} })).toMatchObject({
      isError: true,
      _meta: { 'millrace/fields': [{ field: 'name' }] },
    });
    await alone.close();
  });

  it('asks for an object that a call lacks by a form of its own', async () => {
    const { own, asked } = await client(() => ({ name: 'Grace' }));
    const { structuredContent } = await own.callTool({ name: 'test_input_required_result_elicitation', arguments: {} });
    expect(structuredContent).toEqual({ text: 'Hello, Grace!' });
    expect(asked).toEqual(['test_input_required_result_elicitation needs user_name: What is your name?']);
    await own.close();
  });

  it('asks for the arguments that a prompt lacks', async () => {
    const { own } = await client(() => ({ context: 'a shop' }));
    const { messages } = await own.getPrompt({ name: 'test_input_required_result_prompt' });
    expect(messages).toMatchObject([{ content: { text: 'Answer in this context: a shop' } }]);
    await own.close();
  });

  it('asks by the forms of a run one after the other', async () => {
    const { own, asked } = await client((message) =>
      message.includes('color') ? { color: 'blue' } : { name: 'Grace' },
    );
    const { structuredContent } = await own.callTool({ name: 'test_input_required_result_multi_round', arguments: {} });
    expect(structuredContent).toEqual({ name: 'Grace', color: 'blue' });
    expect(asked).toEqual([
      expect.stringMatching(/^What is your name\?/),
      expect.stringMatching(/^Grace, what is your favorite color\?/),
    ]);
    await own.close();
  });

  it('asks nothing again that its user has decided while the run goes on', async () => {
    const { own, asked } = await client(() => ({ confirm: true }));
    const { structuredContent } = await own.callTool({ name: 'decided_then_slow', arguments: {} });
    expect(structuredContent).toEqual({ text: 'person and person' });
    expect(asked).toHaveLength(2);
    await own.close();
  });

  it('repeats an argument in a header where the pipeline says so, and refuses a call whose header says otherwise', async () => {
    const { own } = await client();
    // By the schemas of the list it knows what to repeat.
    await own.listTools();
    const args = { region: 'Åland' };
    expect(await own.callTool({ name: 'of_region', arguments: args })).toMatchObject({ structuredContent: args });
    expect(await modern('tools/call', { name: 'of_region', arguments: args }, {})).toMatchObject({
      error: { code: -32020 },
    });
    await own.close();
  });

  it('does not take another run, or none of this server, for the state of a call', async () => {
    const forged = Buffer.from(JSON.stringify({ run: 'greet-0', after: '0-0' })).toString('base64url');
    for (const requestState of ['nonsense', forged]) {
      const answer = await modern('tools/call', { name: 'greet', requestState }, { elicitation: {} });
      expect(answer).toMatchObject({ error: { code: -32602 } });
    }
  });

  it('makes a call that takes long a task, which its client fetches, answers and cancels from elsewhere', async () => {
    const capabilities = { elicitation: {}, extensions: { [TASKS]: {} } };
    const ask = async (method: string, params: object) => (await modern(method, params, capabilities)).result as Task;
    const start = () => ask('tools/call', { name: 'confirm_delete', arguments: { filename: 'b.txt' } });
    const { resultType, taskId } = await start();
    expect(resultType).toBe('task');
    let task: Task = {};
    const reaches = (id: string | undefined, status: string) =>
      until(`the task is ${status}`, async () => {
        task = await ask('tasks/get', { taskId: id });
        return task.status === status;
      });
    await reaches(taskId, 'input_required');
    const [nonce = ''] = Object.keys(task.inputRequests ?? {});
    const inputResponses = { [nonce]: { action: 'accept', content: { confirm: true } } };
    await ask('tasks/update', { taskId, inputResponses });
    await reaches(taskId, 'completed');
    expect(task.result).toMatchObject({ structuredContent: { approved: true, by: 'person' } });
    const other = await start();
    await ask('tasks/cancel', { taskId: other.taskId });
    await reaches(other.taskId, 'cancelled');
    expect(await modern('tasks/get', { taskId: 'greet-0' }, capabilities)).toMatchObject({ error: { code: -32602 } });
  });
});

/**
 * Whether a page of the tasks has this one as completed. Temporal lists the end of a run some time after it, running ones and those of
 * other tests come before, and five pages a second may be asked for.
 */
async function listsAsCompleted({ experimental: { tasks } }: OldClient, id: string): Promise<boolean> {
  for (let cursor: string | undefined; ; ) {
    const page = await tasks.listTasks(cursor).catch(() => undefined);
    if (page?.tasks.some(({ taskId, status }) => taskId === id && status === 'completed')) return true;
    await sleep(PAGE_MS);
    cursor = page?.nextCursor;
    if (cursor === undefined) return false;
  }
}
const PAGE_MS = 300;

describe('MCP 2025-11-25', () => {
  it('asks its client’s user on the stream of the call', async () => {
    const { own, asked } = await oldClient(() => true);
    const result = await own.callTool({ name: 'confirm_delete', arguments: { filename: 'c.txt' } });
    expect(result.structuredContent).toEqual({ approved: true, by: 'person' });
    expect(asked).toEqual([expect.stringContaining('c.txt')]);
    await own.close();
  });

  it('has runs as tasks: created, listed, fetched with its questions, cancelled', async () => {
    const { own, asked } = await oldClient(() => true);
    const statuses: string[] = [];
    const stream = own.experimental.tasks.callToolStream(
      { name: 'confirm_delete', arguments: { filename: 'd.txt' } },
      CallToolResultSchema,
      { task: {} },
    );
    let result: unknown;
    let id = '';
    for await (const each of stream) {
      if (each.type === 'taskCreated') id = each.task.taskId;
      if (each.type === 'taskStatus') statuses.push(each.task.status);
      if (each.type === 'result') result = each.result;
    }
    expect(result).toMatchObject({
      structuredContent: { approved: true, by: 'person' },
      _meta: { 'io.modelcontextprotocol/related-task': { taskId: id } },
    });
    expect(asked).toHaveLength(1);
    await until('the list has the task', () => listsAsCompleted(own, id));
    expect(await own.experimental.tasks.cancelTask(id).catch((error: unknown) => error)).toMatchObject({
      code: -32602,
    });
    await own.close();
  });

  it('continues the stream of a call at another connection', async () => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    };
    const abort = new AbortController();
    const params = {
      name: 'confirm_delete',
      arguments: { filename: 'e.txt' },
      _meta: { progressToken: 7, 'millrace/idempotencyKey': randomUUID() },
    };
    const dropped = await fetch(url(), {
      method: 'POST',
      headers,
      body: JSON.stringify({ jsonrpc: '2.0', id: 5, method: 'tools/call', params }),
      signal: abort.signal,
    });
    const seen = await readUntil(dropped, /waits for a person[\s\S]*\nid: .*\n/);
    const [last = ''] = [...seen.matchAll(/^id: (.+)$/gm)].map(([, id]) => id).slice(-1);
    abort.abort();
    const again = await fetch(url(), { headers: { ...headers, 'last-event-id': last } });
    const { run } = JSON.parse(Buffer.from(last, 'base64url').toString()) as { run: string };
    let nonce: string | undefined;
    await until('the run says what it waits for', async () => {
      nonce = (await served.get(run)).waiting?.[0]?.nonce;
      return nonce !== undefined;
    });
    // The answer of a client that was asked; it says all that a gateway needs to know.
    const answer = { jsonrpc: '2.0', id: `decide:${run}:${nonce}`, result: { action: 'decline' } };
    expect((await fetch(url(), { method: 'POST', headers, body: JSON.stringify(answer) })).status).toBe(202);
    const rest = await again.text();
    expect(rest).not.toContain('confirm started');
    expect(rest).toContain('was rejected');
    expect(rest).toMatch(/"id":5,"result":.*"approved":false/);
  });
});

describe('Millrace as the client of the door', () => {
  const started: McpServers[] = [];
  const servers = () => {
    const own = new McpServers(parseMcpServers({ mill: { url: `${served.url}/mcp` } }, 'the test'));
    started.push(own);
    return own;
  };
  afterAll(() => Promise.all(started.map((own) => own.close())));
  const options = () => ({ signal: new AbortController().signal, idempotencyKey: randomUUID() });

  it('awaits a tool that becomes a task, also one that waits for a person elsewhere', async () => {
    const own = servers();
    expect(await own.call('mill', 'greet', { name: 'Ada' }, options())).toEqual({ text: 'Hello, Ada!' });
    expect(await own.call('mill', 'slow_compute', { seconds: 2, label: 'late' }, options())).toEqual({ text: 'late' });
    const calling = own.call('mill', 'confirm_delete', { filename: 'f.txt' }, options());
    await until('it is decided', async () => {
      // More than five pages a second are refused.
      await sleep(PAGE_MS);
      const page = await fetch(`${served.url}/v1/runs?pipeline=confirm-delete&status=running`);
      const { runs = [] } = (await page.json()) as { runs?: readonly { id: string }[] };
      for (const { id } of runs) {
        const [wait] = (await served.get(id)).waiting ?? [];
        if (wait?.subject !== 'f.txt') continue;
        const body = JSON.stringify({ nonce: wait.nonce });
        const headers = { 'content-type': 'application/json' };
        return (await fetch(`${served.url}/v1/runs/${id}/approve`, { method: 'POST', headers, body })).ok;
      }
      return false;
    });
    expect(await calling).toEqual({ approved: true, by: 'person' });
  });

  it('is the same run when a worker repeats a call, and cancels the run of a call that it gives up', () =>
    // A worker that stands still for longer than its heartbeats loses its stage, which begins again.
    unlessStill(async () => {
      const own = servers();
      const once = options();
      const log = new CallLog();
      const gone = new AbortController();
      const calls = [1, 2].map(() => own.call('mill', 'endless', { log: log.file }, { ...once, signal: gone.signal }));
      await until('it runs', () => log.count('starts') > 0);
      // It is a task after a second.
      await sleep(2_000);
      expect(log.count('starts')).toBe(1);
      gone.abort(new Error('given up'));
      // At the same time: an error of the second one must not come before somebody waits for it.
      await Promise.all(calls.map((calling) => expect(calling).rejects.toThrow('given up')));
      await until('it is stopped', () => log.count('stopped') > 0);
      expect(log.count('stopped')).toBe(1);
    }));

  it('keeps the media of a result', async () => {
    const kept: string[] = [];
    const keep: KeepMedia = async (kind, bytes) => {
      kept.push(`${kind} ${bytes.length}`);
      return { uri: 'artifact://default/0', sha256: '0', mime: 'image/png', bytes: bytes.length };
    };
    const result = await servers().call('mill', 'test_audio_content', {}, { ...options(), keep });
    expect(kept).toEqual([expect.stringMatching(/^audio \d+$/)]);
    expect(result).toMatchObject({ result: { speech: { mime: 'audio/wav' } }, media: [{ mime: 'image/png' }] });
  });
});

interface Task {
  readonly resultType?: string;
  readonly taskId?: string;
  readonly status?: string;
  readonly inputRequests?: Readonly<Record<string, object>>;
  readonly result?: object;
}

/** A request of version 2026-07-28, whose SDKs have no tasks, and the message that answers it. */
async function modern(method: string, params: object, capabilities: object) {
  const { name, taskId } = params as { name?: string; taskId?: string };
  const called = name ?? taskId;
  const response = await fetch(url(), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(called !== undefined && { 'mcp-name': called }),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': capabilities,
        },
      },
    }),
  });
  return (await response.json()) as { result?: object; error?: { code: number } };
}

/** What a stream has sent when it matches. */
async function readUntil({ body }: Response, pattern: RegExp): Promise<string> {
  let seen = '';
  for await (const chunk of body as ReadableStream<Uint8Array>) {
    seen += Buffer.from(chunk).toString();
    if (pattern.test(seen)) return seen;
  }
  throw new Error(`the stream has ended: ${seen}`);
}
