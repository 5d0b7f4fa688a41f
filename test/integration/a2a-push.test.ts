import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deliveryId } from '../../pipelines/run/index.js';
import { a2aClient, sent, type TaskJson } from '../support/a2a-client.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, until } from '../support/runs.js';
import { WebhookReceiver, webhookSecret, webhookSettings } from '../support/webhook-receiver.js';
import { WorkerProcess } from '../support/worker-process.js';

/** Push notifications of A2A on real servers: the SDK's clients, a receiver outside, gateway and worker killed in between. */

const queue = `a2a-push-${randomUUID()}`;
const secret = webhookSecret();
let temporal: Client;
let receiver: WebhookReceiver;
let settings: Record<string, string>;
let gateway: GatewayProcess;
let worker: WorkerProcess;

const startGateway = () => GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue, ...settings });
const startWorker = () => WorkerProcess.start(queue, settings);

beforeAll(async () => {
  receiver = await WebhookReceiver.at(secret);
  settings = {
    ...(await webhookSettings({ default: { secrets: [secret] } })),
    MILLRACE_PIPELINES: 'test/fixtures/mcp-pipelines.mjs',
  };
  [temporal, gateway, worker] = await Promise.all([connect(), startGateway(), startWorker(), receiver.up()]);
});
afterAll(async () => {
  await Promise.all([worker.kill(), gateway.stop('SIGKILL'), receiver.down()]);
  await temporal.connection.close();
});

interface Told {
  readonly path: string;
  readonly headers: Record<string, string>;
  /** The task in its version's form. */
  readonly body: {
    readonly id: string;
    readonly kind?: string;
    readonly status: { readonly state: string };
  } & TaskJson;
}

/** What the receiver has been told of a task at a path. */
function toldOf(task: string, path: string): Told[] {
  const all = receiver.received.map(({ body, ...each }) => {
    const json = JSON.parse(body) as { task?: Told['body'] } & Told['body'];
    return { ...each, body: json.task ?? json };
  });
  return all.filter((each) => each.path === path && each.body.id === task);
}
const statesOf = (task: string, path: string) => toldOf(task, path).map(({ body }) => body.status.state);
/** Temporal knows of the attempts that were made: a worker that is killed before is followed by one that makes its attempt again. */
const isRecorded = (task: string) =>
  until('Temporal knows that it is told', async () => {
    const { raw } = await temporal.workflow.getHandle(deliveryId(task)).describe();
    return (raw.pendingActivities ?? []).length === 0;
  });
const agent = (version: '1.0' | '0.3' = '1.0') => a2aClient(`${gateway.url}/a2a/order/`, { version });
const tea = [{ text: 'tea' }];
const pushTo = (path: string, more: object = {}) => ({
  ...{ url: `${receiver.url}${path}`, token: '', authentication: undefined },
  ...more,
});
const decision = ({ status }: TaskJson) => {
  const asked = status.message?.parts.find(({ data }) => data)?.data;
  return [{ data: { nonce: asked?.nonce, approved: true } }];
};

describe('push notifications', () => {
  it('tell the wait and the end of a task, though gateway and worker are killed in between', async () => {
    const authentication = { scheme: 'Bearer', credentials: 'credentials-of-the-receiver' };
    const push = pushTo('/killed', { token: 'token-of-the-receiver', authentication });
    const task = await sent(await agent(), tea, {}, { taskPushNotificationConfig: push });
    expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    await until('the wait is told', () => toldOf(task.id, '/killed').length > 0);
    const [asked] = toldOf(task.id, '/killed');
    expect(asked).toMatchObject({
      headers: {
        'x-a2a-notification-token': 'token-of-the-receiver',
        authorization: 'Bearer credentials-of-the-receiver',
        'content-type': 'application/a2a+json',
      },
      body: { contextId: task.contextId, status: { state: 'TASK_STATE_INPUT_REQUIRED' } },
    });
    await isRecorded(task.id);
    await Promise.all([gateway.stop('SIGKILL'), worker.kill()]);
    [gateway, worker] = await Promise.all([startGateway(), startWorker()]);
    // The receiver knows from the notification alone what is to be decided.
    const [part] = decision(asked?.body as TaskJson);
    await sent(await agent(), [part as object], { taskId: task.id, contextId: task.contextId });
    await until('the end is told', () => toldOf(task.id, '/killed').length > 1);
    expect(toldOf(task.id, '/killed').at(-1)?.body).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ artifactId: 'answer', parts: [{ text: 'Ordered: tea' }] }],
    });
    expect(statesOf(task.id, '/killed')).toEqual(['TASK_STATE_INPUT_REQUIRED', 'TASK_STATE_COMPLETED']);
    expect(receiver.refused).toEqual([]);
    const history = await temporal.workflow.getHandle(deliveryId(task.id)).fetchHistory();
    const kept = [...historyToJSON(history).matchAll(/"data": *"([^"]+)"/g)].map(([, data = '']) => atob(data)).join();
    expect(kept).toContain(task.id);
    expect(kept).not.toContain('of-the-receiver');
  });

  it('of 0.3 go to receivers that are added later, and not to those that are removed', async () => {
    const client = await agent('0.3');
    const task = await sent(client, tea, {}, { taskPushNotificationConfig: pushTo('/first') });
    expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const of = { tenant: '', taskId: task.id };
    // Who is told of the wait is looked up when it begins: one that is added at once may be told of it too.
    await until('the wait is told', () => toldOf(task.id, '/first').length > 0);
    await client.createTaskPushNotificationConfig({ ...of, id: 'later', ...pushTo('/later') });
    await client.deleteTaskPushNotificationConfig({ ...of, id: task.id });
    await sent(client, decision(task), { taskId: task.id, contextId: task.contextId });
    await until('the end is told', () => toldOf(task.id, '/later').length > 0);
    expect(toldOf(task.id, '/later')).toMatchObject([
      {
        headers: { 'content-type': 'application/json' },
        body: {
          ...{ kind: 'task', contextId: task.contextId, status: { state: 'completed' } },
          artifacts: [{ artifactId: 'answer', parts: [{ kind: 'text', text: 'Ordered: tea' }] }],
        },
      },
    ]);
    expect(statesOf(task.id, '/first')).toEqual(['input-required']);
    // Credentials are not kept for longer than they are needed.
    const left = async () =>
      (await client.listTaskPushNotificationConfig({ ...of, pageSize: 0, pageToken: '' })).configs.length;
    await expect.poll(left, { timeout: 30_000 }).toBe(0);
  });

  it('come again until the receiver takes them', async () => {
    const client = await agent();
    const task = await sent(client, tea, {}, { returnImmediately: true });
    const of = { tenant: '', taskId: task.id };
    await client.createTaskPushNotificationConfig({ ...of, id: 'broken', ...pushTo('/broken/of-a2a') });
    await client.cancelTask({ tenant: '', id: task.id, metadata: undefined });
    await until('it is tried again', () => receiver.requests.filter((at) => at === '/broken/of-a2a').length > 1);
    await client.deleteTaskPushNotificationConfig({ ...of, id: 'broken' });
  });
});
