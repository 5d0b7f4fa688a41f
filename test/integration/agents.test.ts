import { createHash, randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StageEvent } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import { caught } from '../support/caught.js';
import { decideOver } from '../support/deciding.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import type { ModelRequest, Said } from '../support/scripted-model.js';
import { WorkerProcess } from '../support/worker-process.js';

/** A worker that an interrupted run has left over must not serve this one's runs. */
const QUEUE = `agents-${randomUUID()}`;

/** Context of the model for `ledger-desk`, in tokens: it counts three characters as one. */
const CONTEXT = 3_000;

function ofLedger(lines: number, { messages }: ModelRequest): Said {
  if (JSON.stringify(messages).length / 3 + 512 > CONTEXT) return { tooLongFor: CONTEXT };
  const last = messages.at(-1)?.content ?? '';
  if (last.includes('Sum up this')) return { text: 'The ledger was read.' };
  const [, whole] = /"result": "(r\d+)"/.exec(last) ?? [];
  if (whole) return { calls: [['read_result', { result: whole, find: 'code is' }]] };
  const [, code] = /the code is (\w+)/.exec(last) ?? [];
  return code ? { text: `It is ${code}.` } : { calls: [['get_ledger', { lines }]] };
}

/** Asks for what the task names, then repeats what it is told. */
const llm = new ScriptedLlm((request) => {
  const { messages } = request;
  const [, lines] = /^ledger (\d+)$/.exec(messages.find(({ role }) => role === 'user')?.content ?? '') ?? [];
  if (lines || messages.at(-1)?.content.includes('Sum up this')) return ofLedger(Number(lines), request);
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (results.length > 0) return { text: `So: ${results.join('; ')}` };
  const task = messages[0]?.content ?? '';
  if (task === 'count')
    return {
      calls: [
        ['count', { n: 1 }],
        ['doubled', { n: 2 }],
      ],
    };
  return { calls: [['refund', { order: task }]] };
});

let client: Client;
/** Of a call's arguments, as its path has it. */
const digestOf = (given: object) => createHash('sha256').update(JSON.stringify(given)).digest('hex').slice(0, 12);

let settings: Record<string, string>;
let gateway: GatewayProcess | undefined;
let worker: WorkerProcess | undefined;
const startBoth = async () => {
  // Each is kept as soon as it runs, so that it is ended also where the other does not start.
  await Promise.all([
    GatewayProcess.start(settings).then((started) => {
      gateway = started;
    }),
    WorkerProcess.start(QUEUE, settings).then((started) => {
      worker = started;
    }),
  ]);
};
const killBoth = () => Promise.all([gateway?.stop('SIGKILL'), worker?.kill()]);
const at = (path: string) => `${gateway?.url}${path}`;

beforeAll(async () => {
  client = await connect();
  const models = await llm.listen();
  settings = {
    MILLRACE_MODELS: models,
    MILLRACE_PIPELINES: 'test/fixtures/agents.mjs',
    MILLRACE_TASK_QUEUE: QUEUE,
  };
  await startBoth();
});
afterAll(async () => {
  await killBoth();
  llm.close();
  await client.connection.close();
});

async function begin(pipeline: string, task: string): Promise<string> {
  const body = JSON.stringify({ task });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(at(`/v1/pipelines/${pipeline}/runs`), { method: 'POST', headers, body });
  const { id } = (await answer.json()) as RunDocument;
  return id;
}
const read = async (id: string) => (await (await fetch(at(`/v1/runs/${id}`))).json()) as RunDocument;
const waits = (id: string) =>
  until('the agent waits', async () => (await read(id)).stages?.[0]?.doing?.startsWith('waits') ?? false);
async function ended(id: string): Promise<RunDocument> {
  let run = await read(id);
  // Where Temporal stands still there is a problem document.
  await until('the run has ended', async () => {
    run = await read(id);
    return run.id === id && run.status !== 'running';
  });
  return run;
}

describe('an approval of a tool call', () => {
  it('waits across the death of worker and gateway, then goes on', async () => {
    const id = await begin('refund-desk', 'A1');
    await waits(id);
    await killBoth();
    await startBoth();
    const decided = await decideOver(at(`/v1/runs/${id}`), 'approve', { path: 'answer/turn-1/refund', by: 'ada' });
    expect(decided.status).toBe(202);
    const { output } = await ended(id);
    expect(output).toMatchObject({
      text: 'So: A1 is paid back',
      toolCalls: [{ name: 'refund', arguments: { order: 'A1' }, end: 'done', result: 'A1 is paid back' }],
    });
  });

  it('takes its default when its time is over, though no worker was there', async () => {
    const id = await caught('the wait for a person', async () => {
      const id = await begin('hasty-desk', 'A2');
      const run = async () => await read(id);
      await until('the agent waits, or has waited', async () => {
        const { id: of, status, stages } = await run();
        return (of === id && status !== 'running') || (stages?.[0]?.doing?.startsWith('waits') ?? false);
      });
      return (await run()).status === 'running' ? id : undefined;
    });
    await killBoth();
    await startBoth();
    const { output } = await ended(id);
    expect(output).toMatchObject({
      text: 'So: The call was not approved in time.',
      toolCalls: [{ end: 'refused', message: 'The call was not approved in time.' }],
    });
  });
});

describe('a result that is longer than the model’s context', () => {
  // 40 kB fit into the run's history, 6 MB do not.
  it.each([2_400, 350_000])(
    'of %i lines is kept as an artifact, in which the model finds what it looks for',
    async (lines) => {
      const id = await begin('ledger-desk', `ledger ${lines}`);
      const { output, error, stages } = await ended(id);
      expect(error).toBeUndefined();
      expect(output).toMatchObject({ text: 'It is MAGPIE.', turns: 3 });
      const [first] = (output as { toolCalls: { whole?: { sha256: string; bytes: number } }[] }).toolCalls;
      expect(first?.whole?.bytes).toBeGreaterThan(lines * 15);
      expect(stages?.[0]?.calls).toEqual([
        { turn: 1, name: 'get_ledger', end: 'done' },
        { turn: 2, name: 'read_result', end: 'done' },
      ]);
    },
  );
});

describe('what can be seen of an agent', () => {
  it('are its turns and tool calls, in the run’s events and in Temporal', async () => {
    const id = await begin('many-tools', 'count');
    const { output } = await ended(id);
    expect(output).toMatchObject({ text: 'So: 2; {"n":3}', turns: 2 });
    const answer = await fetch(at(`/v1/runs/${id}/events`), { headers: { accept: 'text/event-stream' } });
    const lines = (await answer.text()).split('\n').filter((line) => line.startsWith('data: '));
    const events = lines.map((line) => JSON.parse(line.slice('data: '.length)) as StageEvent);
    const all = events.filter(({ type }) => type === 'stage.started' || type === 'stage.finished');
    const seen = all.filter(({ stage }) => stage === 'answer');
    // Those of the run that a tool is come with its position.
    const inChild = `answer/turn-1/doubled:${digestOf({ n: 2 })}/`;
    const others = all.filter((event) => !seen.includes(event));
    expect(others.length).toBeGreaterThan(0);
    expect(others.every(({ stage, path }) => stage.startsWith(inChild) && path.startsWith(inChild))).toBe(true);
    const pathsOf = (type: StageEvent['type']) =>
      seen
        .filter((event) => event.type === type)
        .map(({ path }) => path)
        .sort();
    const count = `answer/turn-1/count:${digestOf({ n: 1 })}`;
    const paths = ['answer/turn-1', count, 'answer/turn-2'];
    expect(pathsOf('stage.started')).toEqual(paths);
    expect(pathsOf('stage.finished')).toEqual(paths);
    const deltas = events.flatMap((event) => (event.type === 'stage.delta' ? [event] : []));
    expect(
      deltas
        .filter(({ path }) => path === 'answer/turn-2')
        .map(({ text }) => text)
        .join(''),
    ).toBe('So: 2; {"n":3}');

    const { events: history } = await client.workflow.getHandle(id).fetchHistory();
    const activities = (history ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled, userMetadata }) => {
      const summary = userMetadata?.summary?.data;
      return scheduled ? [`${scheduled.activityType?.name}: ${summary ? Buffer.from(summary).toString() : ''}`] : [];
    });
    expect(activities).toEqual([
      'answer: "answer · turn 1 · openai · scripted @cpu0"',
      `count: "count(1) · ${count}"`,
      'answer: "answer · turn 2 · openai · scripted @cpu0"',
    ]);
    const child = await client.workflow.getHandle(`${id}/answer/turn-1/doubled:${digestOf({ n: 2 })}`).describe();
    expect(child).toMatchObject({ type: 'doubled', status: { name: 'COMPLETED' } });
  });
});
