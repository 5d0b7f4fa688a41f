import { describe, expect, test } from 'vitest';
import { Notifications } from '../../../../gateway/a2a/notifications.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { WebhookEvent } from '../../../../pipelines/run/index.js';
import { waitFor } from '../../../support/waits.js';

const notifications = new Notifications([chatModel as unknown as Pipeline]);
const AT = '2026-11-27T10:00:00.000Z';

const subscription = (version: string, more: JsonObject = {}) => ({
  ...{ id: 's', request: 'r', url: 'https://a.test/hook', waits: true },
  about: { version, context: 'ctx', base: 'https://gateway.test', ...more },
});
const event = (status: string, data: JsonObject): WebhookEvent => ({
  id: 'msg_chat-1',
  type: `run.${status}` as WebhookEvent['type'],
  timestamp: AT,
  data: { ...{ id: 'chat-1', pipeline: 'chat', version: '1', tenant: 'default', status, createdAt: AT }, ...data },
});
const answered = event('succeeded', { output: { text: 'So.', finish: 'stop', toolCalls: [] } });
const bodyOf = async (...given: [version: string, event: WebhookEvent]) =>
  JSON.parse((await notifications.of('default', subscription(given[0]), given[1])).body) as unknown;

describe('a notification', () => {
  test('is the task in 1.0, with the token and the credentials of its receiver', async () => {
    const credentials = { token: 'opaque', authentication: { scheme: 'Bearer', credentials: 'secret' } };
    const { body, headers } = await notifications.of('default', subscription('1.0', credentials), answered);
    expect(JSON.parse(body)).toEqual({
      task: {
        id: 'chat-1',
        contextId: 'ctx',
        status: { state: 'TASK_STATE_COMPLETED', timestamp: AT },
        artifacts: [{ artifactId: 'answer', name: 'answer', parts: [{ text: 'So.', mediaType: 'text/plain' }] }],
      },
    });
    expect(headers).toEqual({
      'content-type': 'application/a2a+json',
      'x-a2a-notification-token': 'opaque',
      authorization: 'Bearer secret',
    });
  });

  test('is the task in 0.3', async () => {
    const { body, headers } = await notifications.of('default', subscription('0.3'), answered);
    expect(JSON.parse(body)).toMatchObject({
      kind: 'task',
      status: { state: 'completed' },
      artifacts: [{ artifactId: 'answer', parts: [{ kind: 'text', text: 'So.' }] }],
    });
    expect(headers).toEqual({ 'content-type': 'application/json' });
  });

  test('says what the task waits for, in the same bytes in each attempt', async () => {
    const waiting = { status: 'running', waiting: [waitFor('ask') as unknown as JsonObject] };
    const asked = { ...event('waiting', waiting), id: 'msg_chat-1_n' };
    const once = await notifications.of('default', subscription('1.0'), asked);
    expect(JSON.parse(once.body)).toMatchObject({
      task: {
        status: {
          state: 'TASK_STATE_INPUT_REQUIRED',
          timestamp: AT,
          message: { messageId: 'msg_chat-1_n', parts: [{ text: 'it' }, { data: { subject: 'it' } }] },
        },
      },
    });
    expect(await notifications.of('default', subscription('1.0'), asked)).toEqual(once);
  });

  test('shows a person what is asked without characters that change how it looks, and gives a program all of it', async () => {
    const call = { tool: 'refund', arguments: { order: 'A\u202e1' }, digest: 'd' };
    const wait = { ...waitFor('ask'), subject: 'refund("A\u202e1")\n', call } as unknown as JsonObject;
    const body = await bodyOf('1.0', event('waiting', { status: 'running', waiting: [wait] }));
    expect(body).toMatchObject({
      task: {
        status: {
          message: {
            parts: [
              { text: 'refund("A\\u{202e}1")\\u{a}' },
              { data: { subject: 'refund("A\u202e1")\n', arguments: { order: 'A\u202e1' } } },
            ],
          },
        },
      },
    });
  });

  test('says why the task failed', async () => {
    const failed = event('failed', { error: { code: 'BACKEND_ERROR', message: 'the server fell over' } });
    expect(await bodyOf('1.0', failed)).toMatchObject({
      task: { status: { state: 'TASK_STATE_FAILED', message: { parts: [{}, { data: { code: 'BACKEND_ERROR' } }] } } },
    });
    const cancelled = event('cancelled', { error: { code: 'RUN_CANCELLED', message: 'cancelled' } });
    expect(await bodyOf('0.3', cancelled)).toMatchObject({ status: { state: 'canceled' } });
  });

  test('has no artifacts of a pipeline that this process does not have, nor of an output that was too large', async () => {
    const { data } = answered;
    expect(await bodyOf('1.0', { ...answered, data: { ...data, pipeline: 'other' } })).toEqual({
      task: { id: 'chat-1', contextId: 'ctx', status: { state: 'TASK_STATE_COMPLETED', timestamp: AT } },
    });
    const { output: _, ...rest } = data;
    const body = await bodyOf('1.0', { ...answered, data: { ...rest, outputOmitted: true } });
    expect(body).not.toHaveProperty('task.artifacts');
  });
});
