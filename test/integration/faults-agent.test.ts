import { randomInt, randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { taskServer } from '../support/mcp/task-server.js';
import { agents, CallLog, connect, resultOf, start, until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { WorkerProcess } from '../support/worker-process.js';

const TOOLS = ['first-deed', 'second-deed', 'third-deed'] as const;

/**
 * Kills, and runs in the middle of their turn at each: twenty turns in all. MILLRACE_TEST_AGENT_KILLS=20 kills once for each
 * turn, which takes some minutes.
 */
const KILLS = Number(process.env.MILLRACE_TEST_AGENT_KILLS ?? 2);
const RUNS = 20 / KILLS;
const QUEUE = `kill-agents-${randomUUID()}`;

/** Asks for all three tools at once, each of which takes its time, or for that of the MCP server; then answers with what they gave. */
const llm = new ScriptedLlm(({ messages, tools }) => {
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (results.length > 0) return { text: results.join(', ') };
  if (tools.includes('print')) return { calls: [['print', {}]] };
  const { log } = JSON.parse(messages[0]?.content ?? '') as { log: string };
  return { calls: TOOLS.map((name, i) => [name, { log, ms: 100 + 700 * i }] as const) };
});

let client: Client;
let models = '';
/** An MCP server outside, whose only tool is a task until the test ends it. */
let printer: Awaited<ReturnType<typeof taskServer>>;
let servers = '';
beforeAll(async () => {
  [client, models, printer] = await Promise.all([connect(), llm.listen(), taskServer()]);
  servers = path.join(await mkdtemp(path.join(tmpdir(), 'millrace-mcp-')), 'servers.json');
  await writeFile(servers, JSON.stringify({ printer: { url: printer.url } }));
});
afterAll(async () => {
  await Promise.all(started.map((each) => each.kill()));
  llm.close();
  await printer.close();
  await client.connection.close();
});

const started: WorkerProcess[] = [];
async function worker(): Promise<WorkerProcess> {
  const one = await WorkerProcess.start(QUEUE, {
    MILLRACE_MODELS: models,
    MILLRACE_MCP_SERVERS: servers,
    MILLRACE_PIPELINES: 'test/fixtures/agents.mjs',
  });
  started.push(one);
  return one;
}

/** Types of the activities that Temporal knows to have completed. */
async function completed(handle: WorkflowHandle): Promise<string[]> {
  const { events = [] } = await handle.fetchHistory();
  const types = new Map(
    events?.map((event) => [String(event.eventId), event.activityTaskScheduledEventAttributes?.activityType?.name]),
  );
  return (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: ended }) =>
    ended?.scheduledEventId ? [types.get(String(ended.scheduledEventId)) ?? ''] : [],
  );
}

it(`worker killed ${KILLS} times, ${RUNS} agents in the middle of a three-tool turn at each`, async () => {
  let [victim, other] = await Promise.all([worker(), worker()]);
  let repeated = 0;
  // Where the machine stood still before a kill, the turns may have been over: more kills follow then.
  for (let kill = 0; kill < KILLS || (repeated === 0 && kill < 2 * KILLS); kill++) {
    const logs = Array.from({ length: RUNS }, () => new CallLog());
    const runs = await Promise.all(
      logs.map(({ file }) => start(client, agents.threeTools, { task: JSON.stringify({ log: file }) }, QUEUE)),
    );
    await until('every turn is under way', () =>
      logs.every((log) => TOOLS.every((name) => log.count(`${name} starts`) > 0)),
    );
    await sleep(randomInt(0, 600));
    await victim.kill();
    const next = worker();
    const before = await Promise.all(runs.map(completed));
    const startsOf = () => before.map((tools, i) => tools.map((name) => logs[i]?.count(`${name} starts`)));
    const startsBefore = startsOf();
    const results = await Promise.all(runs.map(resultOf));
    // What had completed has not run again.
    expect(startsOf()).toEqual(startsBefore);
    for (const [i, log] of logs.entries()) {
      const { output } = results[i] ?? {};
      expect(output).toMatchObject({
        text: TOOLS.map((name) => `${name} is done`).join(', '),
        turns: 2,
        toolCalls: TOOLS.map((name) => ({ turn: 1, name, end: 'done', result: `${name} is done` })),
      });
      // What may have run twice has done its deed once: the key told it.
      const keys = TOOLS.map((name) => `did ${runs[i]?.workflowId}/answer/turn-1/${name}`);
      expect(
        log
          .lines()
          .filter((line) => line.startsWith('did '))
          .map((line) => line.replace(/:[0-9a-f]{12}$/, ''))
          .sort(),
      ).toEqual(keys.sort());
      repeated += TOOLS.filter((name) => log.count(`${name} starts`) > 1).length;
    }
    [victim, other] = [other, await next];
  }
  // The kills have hit something: else the test would show nothing.
  expect(repeated).toBeGreaterThan(0);
  process.stdout.write(`${repeated} of ${20 * TOOLS.length} tool calls were begun again\n`);
});

it('goes on with the task of an MCP server when the worker is killed, though the call has one attempt', async () => {
  // Those of the test before serve the queue too.
  if (started.length === 0) await worker();
  const run = await start(client, agents.printing, { task: 'print it' }, QUEUE);
  // Another worker goes on with the task only where Temporal knows it, from a heartbeat.
  await until('Temporal knows the task', async () => {
    const [pending] = (await run.describe()).raw.pendingActivities ?? [];
    return Buffer.from(pending?.heartbeatDetails?.payloads?.[0]?.data ?? [])
      .toString()
      .includes('"task":"task-1"');
  });
  await Promise.all(started.map((each) => each.kill()));
  await worker();
  printer.end('task-1', 'printed');
  expect((await resultOf(run)).output).toMatchObject({ text: 'printed', toolCalls: [{ name: 'print', end: 'done' }] });
  expect(printer.count('tools/call')).toBe(1);
  expect(printer.count('tasks/cancel')).toBe(0);
});
