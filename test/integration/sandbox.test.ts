import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageEvent } from '../../pipelines/run/index.js';
import { caught } from '../support/caught.js';
import { agents, connect, resultOf, start, until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { readEvents } from '../support/sse.js';
import { WorkerProcess } from '../support/worker-process.js';

const MODULE = 'test/fixtures/agents.mjs';

/** Asks for what the task names, then says what it is told. */
const llm = new ScriptedLlm(({ messages }) => {
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (results.length > 0) return { text: results.join('\n') };
  const { tool, ...given } = JSON.parse(messages[0]?.content ?? '') as JsonObject & { tool: string };
  return { calls: [[tool, given]] };
});

/** A sandbox service that holds its first call of a program as long as the program says. */
const calls: { readonly key: string; readonly code: string; readonly closed: () => boolean }[] = [];
const service = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { code } = JSON.parse(Buffer.concat(chunks).toString()) as { code: string };
  let isClosed = false;
  response.once('close', () => {
    isClosed = true;
  });
  const isFirst = !calls.some((call) => call.code === code);
  calls.push({ key: String(request.headers['idempotency-key']), code, closed: () => isClosed });
  if (code.startsWith('hold') && isFirst) return;
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ stdout: `ran ${code}` }));
});

let settings: Record<string, string>;
beforeAll(async () => {
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}/run`;
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'sandboxes.json');
  const sandboxes = {
    scripts: { engine: 'quickjs', timeMs: 200_000, concurrency: 1 },
    service: { url, languages: ['python'], timeMs: 200_000 },
  };
  writeFileSync(file, JSON.stringify(sandboxes));
  settings = { MILLRACE_MODELS: await llm.listen(), MILLRACE_PIPELINES: MODULE, MILLRACE_SANDBOXES: file };
});
afterAll(() => {
  llm.close();
  service.close();
  service.closeAllConnections();
});

interface Output {
  readonly toolCalls: readonly { readonly end: string; readonly result: JsonObject }[];
}

describe('an agent that runs code', () => {
  let served: ServedPipelines;
  beforeAll(async () => {
    served = await servePipelines([agents.codeDesk as never], { more: settings });
  });
  afterAll(() => served.close());

  const run = async (tool: string, given: JsonObject): Promise<Output> => {
    const { output } = await served.run('code-desk', { task: JSON.stringify({ tool, ...given }) });
    return output as unknown as Output;
  };
  const begin = async (tool: string, given: JsonObject): Promise<string> => {
    const body = JSON.stringify({ task: JSON.stringify({ tool, ...given }) });
    const headers = { 'content-type': 'application/json', prefer: 'respond-async' };
    const { id } = (await (await served.post('code-desk', body, headers)).json()) as { id: string };
    return id;
  };

  it('gets its result; run document and events have the code and what it gave', async () => {
    const code = 'console.log("adds"); [1, 2, 3].reduce((a, b) => a + b)';
    const id = await begin('run_code', { code });
    const events: StageEvent[] = [];
    for await (const { event, data } of readEvents(await fetch(`${served.url}/v1/runs/${id}/events`)))
      if (event !== 'run') events.push(JSON.parse(data) as StageEvent);
    expect(events.filter(({ type }) => type === 'tool.called' || type === 'tool.ended')).toMatchObject([
      { type: 'tool.called', tool: 'run_code', arguments: { code } },
      { type: 'tool.ended', tool: 'run_code', end: 'done', result: { result: 6, stdout: 'adds\n' } },
    ]);
    const { output, status } = await served.get(id);
    expect(status).toBe('succeeded');
    expect(output).toMatchObject({
      toolCalls: [{ name: 'run_code', arguments: { code }, end: 'done', result: { result: 6, stdout: 'adds\n' } }],
    });
  });

  it('is told that a loop does not end, or that a promise never settles', async () => {
    const { toolCalls } = await run('run_briefly', { code: 'for (;;);' });
    expect(toolCalls).toMatchObject([
      { end: 'done', result: { error: expect.stringContaining('longer than 300 ms') } },
    ]);
    const other = await run('run_code', { code: 'await new Promise(() => {})' });
    expect(other.toolCalls[0]?.result.error).toMatch(/promise that nothing settles/);
  });

  it('makes a file that a later run reads, and that another tenant does not', async () => {
    const { toolCalls } = await run('run_code', { code: 'writeFile("sums.csv", "n\\n6\\n")' });
    const [made] = (toolCalls[0]?.result.files ?? []) as unknown as {
      name: string;
      file: { uri: string; mime: string };
    }[];
    expect(made).toMatchObject({ name: 'sums.csv', file: { mime: 'text/plain' } });
    const uri = made?.file.uri ?? '';
    const given = { code: 'readFile("a.csv").split("\\n")[1]', files: [{ name: 'a.csv', uri }] };
    expect((await run('run_code', given)).toolCalls[0]?.result).toMatchObject({ result: '6' });
    const theirs = {
      code: '1',
      files: [{ name: 'a.csv', uri: uri.replace('artifact://default/', 'artifact://other/') }],
    };
    expect((await run('run_code', theirs)).toolCalls).toMatchObject([{ end: 'failed', code: 'ARTIFACT_NOT_FOUND' }]);
  });

  it('is cancelled in the middle of a loop, and leaves its place to the next', async () => {
    const id = await begin('run_code', { code: 'for (;;);' });
    const doing = async () => (await served.get(id)).stages?.[0]?.doing ?? '';
    await until('the tool is called', async () => (await doing()).includes('run_code'));
    const cancelled = await fetch(`${served.url}/v1/runs/${id}/cancel`, { method: 'POST' });
    expect(cancelled.status).toBe(202);
    await until('the run has ended', async () => (await served.get(id)).status === 'cancelled');
    // There is one place, and the loop had 100 s.
    expect((await run('run_code', { code: '6 * 7' })).toolCalls[0]?.result).toMatchObject({ result: 42 });
  });

  it('is cancelled at a service, which sees that the call is given up', async () => {
    const code = `hold ${randomUUID()}`;
    const id = await begin('run_python', { code });
    const call = () => calls.find((each) => each.code === code);
    await until('the service is called', () => call() !== undefined);
    await fetch(`${served.url}/v1/runs/${id}/cancel`, { method: 'POST' });
    await until('the connection is closed', () => call()?.closed() === true);
    await until('the run has ended', async () => (await served.get(id)).status === 'cancelled');
    expect(calls.filter((each) => each.code === code)).toHaveLength(1);
  });
});

describe('a worker that is killed while it runs code', () => {
  const queue = `sandbox-${randomUUID()}`;
  let client: Client;
  const workers: WorkerProcess[] = [];
  const worker = async () => {
    const started = await WorkerProcess.start(queue, settings);
    workers.push(started);
    return started;
  };
  beforeAll(async () => {
    client = await connect();
  });
  afterAll(async () => {
    await Promise.all(workers.map((each) => each.kill()));
    await client.connection.close();
  });

  it('leaves the call to another, which makes it with the same key', async () => {
    const victim = await worker();
    const code = `hold ${randomUUID()}`;
    const handle = await start(client, agents.codeDesk, { task: JSON.stringify({ tool: 'run_python', code }) }, queue);
    await until('the service is called', () => calls.some((call) => call.code === code));
    await victim.kill();
    await worker();
    const { output } = await resultOf(handle);
    expect(output).toMatchObject({
      toolCalls: [{ name: 'run_python', end: 'done', result: { stdout: `ran ${code}` } }],
    });
    const keys = calls.filter((call) => call.code === code).map(({ key }) => key);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(new RegExp(`^${handle.workflowId}/answer/turn-1/run_python`));
  });

  it('runs the code of the worker’s own sandbox again from its beginning', async () => {
    const victim = workers.at(-1) ?? (await worker());
    const code = 'const end = Date.now() + 2_000; while (Date.now() < end); console.log("once"); 1';
    const handle = await caught('the call of the tool', async () => {
      const handle = await start(client, agents.codeDesk, { task: JSON.stringify({ tool: 'run_code', code }) }, queue);
      let ended = false;
      await until('the tool is called, or has been', async () => {
        const { raw, status } = await handle.describe();
        ended = status.name !== 'RUNNING';
        return ended || (raw.pendingActivities?.some(({ activityType }) => activityType?.name === 'run_code') ?? false);
      });
      return ended ? undefined : handle;
    });
    await victim.kill();
    await worker();
    const { output } = await resultOf(handle);
    expect(output).toMatchObject({ toolCalls: [{ end: 'done', result: { result: 1, stdout: 'once\n' } }] });
  });
});
