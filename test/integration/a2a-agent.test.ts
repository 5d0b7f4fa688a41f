import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RunDocument } from '../../runs/document.js';
import { type AgentTask, a2aServer } from '../support/a2a-server.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, until } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

/** A stage that a remote agent serves, which is the SDK's server: its worker is killed, and its run cancelled. */

const queue = `a2a-agent-${randomUUID()}`;
let agent: Awaited<ReturnType<typeof a2aServer>>;
/** Tasks that the agent has begun, by their messages' texts. */
const begun = new Map<string, AgentTask>();
let settings: Record<string, string>;
let temporal: Client;
let worker: WorkerProcess;
let gateway: GatewayProcess;

beforeAll(async () => {
  agent = await a2aServer(async (task, text) => {
    begun.set(text, task);
    // It works until the test ends it.
    await new Promise(() => undefined);
  });
  const models = path.join(await mkdtemp(path.join(tmpdir(), 'millrace-a2a-')), 'models.json');
  const travel = {
    connector: 'a2a',
    kind: 'a2a',
    model: 'travel',
    endpoints: [{ url: agent.url, device: 'elsewhere' }],
  };
  await writeFile(models, JSON.stringify({ travel }));
  settings = { MILLRACE_PIPELINES: 'test/fixtures/remote-agents.mjs', MILLRACE_MODELS: models };
  [temporal, worker, gateway] = await Promise.all([
    connect(),
    WorkerProcess.start(queue, settings),
    GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue, ...settings }),
  ]);
});
afterEach(() => begun.clear());
afterAll(async () => {
  await Promise.all([worker.kill(), gateway.stop('SIGKILL')]);
  await agent.close();
  await temporal.connection.close();
});

async function start(wish: string): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/pipelines/trip/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ wish }),
  });
  const { id } = (await response.json()) as RunDocument;
  expect(response.status).toBe(202);
  await until('the agent has the message', () => begun.has(wish));
  return id;
}
const get = async (id: string) => (await (await fetch(`${gateway.url}/v1/runs/${id}`)).json()) as RunDocument;
/** Another worker goes on with the task only where Temporal knows it, from a heartbeat. */
const isKept = (id: string) =>
  until('Temporal knows the task', async () => {
    const [pending] = (await temporal.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];
    const beat = pending?.heartbeatDetails?.payloads?.[0]?.data ?? [];
    return Buffer.from(beat).toString().includes('"task":"');
  });
const messagesOf = (wish: string) =>
  agent.received.filter(({ params }) => JSON.stringify(params).includes(wish)).length;

describe('a stage of a remote agent', () => {
  it('goes on with its task when its worker is killed', async () => {
    const id = await start('to Rome');
    await isKept(id);
    await worker.kill();
    worker = await WorkerProcess.start(queue, settings);
    begun.get('to Rome')?.writes([{ text: 'Booked.' }]);
    begun.get('to Rome')?.says('COMPLETED');
    let run = await get(id);
    // Where Temporal stands still there is a problem document.
    await until('the run has ended', async () => {
      run = await get(id);
      return run.id === id && run.status !== 'running';
    });
    expect(run).toMatchObject({ status: 'succeeded', output: { text: 'Booked.', state: 'completed' } });
    expect(messagesOf('to Rome')).toBe(1);
  });

  it('cancels its task when its run is cancelled', async () => {
    const id = await start('to Oslo');
    await isKept(id);
    expect((await fetch(`${gateway.url}/v1/runs/${id}/cancel`, { method: 'POST' })).status).toBe(202);
    await until('the agent is told', () => agent.methods().includes('CancelTask'));
    expect(messagesOf('to Oslo')).toBe(1);
  });
});
