import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { Permission } from '../../../../gateway/access/permissions.js';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { agent, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { Problem } from '../../../../pipelines/run/document.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { waitFor } from '../../../support/waits.js';

/* Who is asked for a decision on a run by AG-UI, and who may give it. */

const desk = pipeline('desk', { input: z.object({ question: z.string() }) }, ({ input, stage }) => ({
  reply: stage('answer', agent({ model: 'assistant' }), { prompt: input.question }).text,
}));

const issued = (...permissions: Permission[]) => issueKey({ name: '', tenant: 'default', permissions });
const [all, noRead] = [issued('run', 'read', 'approve'), issued('run', 'approve')];
let gateway: TestGateway;
let events: RunEvent[];
beforeEach(async () => {
  events = [];
  const access = { by: 'key', keys: keyRing([all.key, noRead.key]) } as const;
  gateway = await testGateway(
    {},
    {
      authenticator: new Authenticator(access, pino({ level: 'silent' })),
      pipelines: [chatModel, desk] as unknown as Pipeline[],
      placementOf: () => ({}),
      events: {
        async *follow() {
          for (const [i, event] of events.entries()) yield { id: `1-${i}`, event, json: JSON.stringify(event) };
        },
      },
    },
  );
});
afterEach(() => gateway.close());

const post = ({ secret }: { secret: string }, url: string, payload: object) =>
  gateway.app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${secret}` }, payload });
const run = (more: object = {}) => ({
  threadId: 't',
  runId: 'r',
  messages: [{ id: '1', role: 'user', content: 'Why?' }],
  ...more,
});

test('an answer needs the permission to read, and is for a run of the same pipeline', async () => {
  const { id } = (await post(all, '/v1/pipelines/chat/runs', { prompt: 'Why?' })).json<{ id: string }>();
  const answer = run({ resume: [{ interruptId: `${id}:1-0:n1`, status: 'cancelled' }] });
  const codeAt = async (by: { secret: string }, name: string) =>
    (await post(by, `/v1/agui/${name}`, answer)).json<Problem>().code;
  expect(await codeAt(noRead, 'chat')).toBe('FORBIDDEN');
  expect(await codeAt(all, 'desk')).toBe('RUN_NOT_FOUND');
  // All else is right: the run does not wait.
  expect(await codeAt(all, 'chat')).toBe('NOT_WAITING');
  expect(gateway.temporal.sent).toEqual([]);
});

test('who could not answer is not asked, and gets the answer when somebody else has decided', async () => {
  events = [{ type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent];
  gateway.temporal.waitAt(['ask']);
  expect((await post(all, '/v1/agui/chat', run())).body).toContain('"type":"interrupt"');
  gateway.temporal.onStart = (started) => setTimeout(() => started.end({ output: { text: 'So.' }, stages: [] }), 20);
  const { body } = await post(noRead, '/v1/agui/chat', run());
  expect(body).not.toContain('"type":"interrupt"');
  expect(body).toContain('So.');
});

test('an answer with an integer that a number does not hold is refused, and decides nothing', async () => {
  gateway.temporal.waitAt(['ask']);
  const { id } = (await post(all, '/v1/pipelines/chat/runs', { prompt: 'Why?' })).json<{ id: string }>();
  const given = { approved: true, arguments: { order: 0 } };
  const body = JSON.stringify(run({ resume: [{ interruptId: `${id}:1-0:n1`, status: 'resolved', payload: given }] }));
  const response = await gateway.app.inject({
    method: 'POST',
    url: '/v1/agui/chat',
    headers: { authorization: `Bearer ${all.secret}`, 'content-type': 'application/json' },
    payload: body.replace('"order":0', '"order":9007199254740993'),
  });
  expect(response.json()).toMatchObject({
    code: 'INVALID_INPUT',
    errors: [expect.objectContaining({ field: 'resume.0.payload.arguments.order' })],
  });
  expect(gateway.temporal.sent).toEqual([]);
});
