import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Approval, ApprovalPage } from '../../pipelines/run/document.js';
import type { RunDocument } from '../../runs/document.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { askingOverHttp, Notes } from '../support/mcp/asking-server.js';
import { until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { WorkerProcess } from '../support/worker-process.js';

/** A worker that an interrupted run has left over must not serve this one's runs. */
const QUEUE = `questions-${randomUUID()}`;

/** Calls the tool that the task names, then repeats what it is told. */
const llm = new ScriptedLlm(({ messages }) => {
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (results.length > 0) return { text: `So: ${results.join('; ')}` };
  const [tool = 'book', order = 'A1'] = (messages[0]?.content ?? '').split(' ');
  return { calls: [[tool, { order }]] };
});

const modern = new Notes();
const old = new Notes();
let servers: readonly Awaited<ReturnType<typeof askingOverHttp>>[] = [];
let settings: Record<string, string>;
let gateway: GatewayProcess;
let worker: WorkerProcess;
const startWorker = async () => {
  worker = await WorkerProcess.start(QUEUE, settings);
};

beforeAll(async () => {
  const models = await llm.listen();
  servers = await Promise.all([askingOverHttp('modern', modern), askingOverHttp('old', old)]);
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'mcp.json');
  writeFileSync(file, JSON.stringify({ desk: servers[0]?.config, 'old-desk': servers[1]?.config }));
  settings = {
    MILLRACE_MODELS: models,
    MILLRACE_PIPELINES: 'test/fixtures/agents.mjs',
    MILLRACE_TASK_QUEUE: QUEUE,
    MILLRACE_MCP_SERVERS: file,
  };
  await Promise.all([
    GatewayProcess.start(settings).then((started) => {
      gateway = started;
    }),
    startWorker(),
  ]);
});
afterAll(async () => {
  await Promise.all([gateway?.stop('SIGKILL'), worker?.kill()]);
  for (const server of servers) server.close();
  llm.close();
});

const at = (where: string) => `${gateway.url}${where}`;
const post = (where: string, body: object) =>
  fetch(at(where), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const begin = async (pipeline: string, task: string): Promise<string> =>
  ((await (await post(`/v1/pipelines/${pipeline}/runs`, { task })).json()) as RunDocument).id;
const read = async (id: string) => (await (await fetch(at(`/v1/runs/${id}`))).json()) as RunDocument;
async function ended(id: string): Promise<RunDocument> {
  await until('the run has ended', async () => (await read(id)).status !== 'running');
  return read(id);
}

/** The question of a run, as soon as the inbox has it. */
async function questionOf(run: string): Promise<Approval> {
  let found: Approval | undefined;
  await until('a person is asked', async () => {
    const { approvals = [] } = (await (await fetch(at('/v1/approvals'))).json()) as Partial<ApprovalPage>;
    found = approvals.find((each) => each.run === run);
    return found !== undefined;
  });
  return found as Approval;
}
const answer = ({ run, nonce }: Approval, what: 'approve' | 'reject', more: object = {}) =>
  post(`/v1/runs/${run}/${what}`, { nonce, by: 'ada', ...more });

/** Each test looks at what its own order was. */
let orders = 0;
let order = '';
afterEach(() => {
  orders += 1;
});
const ordered = () => {
  order = `order-${orders}`;
  return order;
};

describe('a question of a server that ends the call with it', () => {
  it('is in the inbox with the server’s name and form, outlives its worker, and is answered over HTTP', async () => {
    const run = await begin('booking-desk', `book ${ordered()}`);
    const asked = await questionOf(run);
    expect(asked).toMatchObject({
      pipeline: 'booking-desk',
      subject: 'The MCP server "desk" asks during its tool "book": Which seat?',
      question: {
        server: 'desk',
        tool: 'book',
        schema: { properties: { seat: { type: 'integer', maximum: 6 } }, required: ['seat'] },
      },
    });
    await worker.kill();
    await startWorker();
    expect((await questionOf(run)).nonce).toBe(asked.nonce);
    const wrong = await answer(asked, 'approve', { content: { seat: 9 } });
    expect(wrong.status).toBe(422);
    expect(await wrong.json()).toMatchObject({
      code: 'INVALID_INPUT',
      errors: [{ field: 'content.seat', message: expect.stringContaining('6 or less') }],
    });
    expect((await answer(asked, 'approve', { content: { seat: 4 } })).status).toBe(202);
    const { output, stages } = await ended(run);
    expect(output).toMatchObject({ text: `So: ${order} is booked at 4` });
    expect(stages?.[0]?.decisions).toMatchObject([{ approved: true, by: 'ada', content: { seat: 4 } }]);
    expect(modern.all(`call book ${order}`)).toHaveLength(2);
    expect(modern.all(`booked ${order}`)).toEqual([`booked ${order} at 4`]);
  });

  it('is declined, which the server is told, and the model why', async () => {
    const run = await begin('booking-desk', `book ${ordered()}`);
    expect((await answer(await questionOf(run), 'reject', { reason: 'too dear' })).status).toBe(202);
    const { output } = await ended(run);
    expect(output?.text).toContain(`${order} is not booked: decline`);
    expect(output?.text).toContain('too dear');
    expect(modern.all(`booked ${order}`)).toEqual([]);
  });

  it('of a task goes to the task, whose tool is called once though the worker was killed', async () => {
    const run = await begin('booking-desk', `print ${ordered()}`);
    const asked = await questionOf(run);
    await worker.kill();
    await startWorker();
    expect((await answer(asked, 'approve', { content: { seat: 2 } })).status).toBe(202);
    const { output } = await ended(run);
    expect(output).toMatchObject({ text: `So: ${order} is booked at 2` });
    expect(modern.all(`call print ${order}`)).toHaveLength(1);
    expect(modern.all(`booked ${order}`)).toEqual([`booked ${order} at 2`]);
  });

  it('sends a person to an address, and is told that it is done', async () => {
    const run = await begin('booking-desk', `visit ${ordered()}`);
    const asked = await questionOf(run);
    expect(asked).toMatchObject({
      subject: expect.stringMatching(
        /^The MCP server "desk" asks .*Consent there \(open https:\/\/bank\.example\/consent\)$/,
      ),
      question: { url: 'https://bank.example/consent' },
    });
    expect((await answer(asked, 'approve')).status).toBe(202);
    expect((await ended(run)).output).toMatchObject({ text: 'So: the visit: accept' });
  });

  it('is asked of the user of a client of the MCP door, by the form of the other server', async () => {
    const forms: { message: string; requestedSchema?: unknown }[] = [];
    const capabilities = { elicitation: { form: {} } };
    const client = new Client({ name: 'test', version: '1' }, { capabilities, versionNegotiation: { mode: 'auto' } });
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      forms.push(params as (typeof forms)[number]);
      return { action: 'accept', content: { seat: 5 } };
    });
    await client.connect(new StreamableHTTPClientTransport(new URL(at('/mcp'))));
    const { structuredContent } = await client.callTool({
      name: 'booking_desk',
      arguments: { task: `book ${ordered()}` },
    });
    await client.close();
    expect(structuredContent).toMatchObject({ text: `So: ${order} is booked at 5` });
    expect(forms).toEqual([
      expect.objectContaining({
        message: expect.stringContaining('The MCP server "desk" asks'),
        requestedSchema: expect.objectContaining({ required: ['seat'] }),
      }),
    ]);
  });
});

describe('a question of a server that asks while the call is open', () => {
  it('is answered over HTTP', async () => {
    const run = await begin('open-booking-desk', `book ${ordered()}`);
    const asked = await questionOf(run);
    expect(asked.question).toMatchObject({ server: 'old-desk', tool: 'book', message: 'Which seat?' });
    const wrong = await answer(asked, 'approve', { content: {} });
    expect(await wrong.json()).toMatchObject({ errors: [{ field: 'content.seat' }] });
    expect((await answer(asked, 'approve', { content: { seat: 3 } })).status).toBe(202);
    expect((await ended(run)).output).toMatchObject({ text: `So: ${order} is booked at 3` });
    expect(old.all(`call book ${order}`)).toHaveLength(1);
  });

  it('is over when its worker is killed: the call fails, and is not made again', async () => {
    const run = await begin('open-booking-desk', `book ${ordered()}`);
    const asked = await questionOf(run);
    await worker.kill();
    await startWorker();
    const { output, waiting = [] } = await ended(run);
    expect(output).toMatchObject({ toolCalls: [{ name: 'book', end: 'failed', code: 'STAGE_TIMEOUT' }] });
    expect(waiting).toEqual([]);
    expect((await answer(asked, 'approve', { content: { seat: 3 } })).status).toBe(409);
    expect(old.all(`call book ${order}`)).toHaveLength(1);
    expect(old.all(`booked ${order}`)).toEqual([]);
  });
});
