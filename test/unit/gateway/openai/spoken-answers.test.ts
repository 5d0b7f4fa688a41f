import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Caller } from '../../../../gateway/access/caller.js';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { withSpokenTurns } from '../../../../gateway/openai/chat-audio.js';
import type { Conversation } from '../../../../gateway/openai/conversation.js';
import { Models } from '../../../../gateway/openai/models.js';
import { chatInput, converse, type Pipeline, pipeline, synthesize } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** Takes the conversation. */
const talk = pipeline('talk', { input: chatInput }, ({ input, stage }) => {
  const answer = stage('answer', converse({ model: 'assistant' }), input);
  const { audio } = stage('speak', synthesize({ model: 'tts' }), { text: answer.text });
  return { reply: answer.text, toolCalls: answer.toolCalls, audio };
});

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [talk] as unknown as Pipeline[], placementOf: () => ({}) });
});
afterEach(() => gateway.close());

const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};
const post = (payload: JsonObject) =>
  gateway.app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { model: 'talk', ...payload } });

describe('earlier audio answers of a conversation', () => {
  const ask = (ids: readonly string[]) => {
    const turns = ids.map((id) => ({ role: 'assistant', audio: { id } }));
    const messages = [...turns, { role: 'user', content: 'Pay!' }];
    return post({ messages });
  };
  /** Ids of answers, and the reads of runs from then on. */
  async function answered(count: number) {
    const reads: string[] = [];
    answers({ reply: 'It is paid.' });
    const ids: string[] = [];
    while (ids.length < count) {
      const { headers } = await ask([]);
      ids.push(`audio_${headers['millrace-run']}`);
    }
    const { workflow } = gateway.temporal.client;
    const handle = workflow.getHandle.bind(workflow);
    vi.spyOn(workflow, 'getHandle').mockImplementation((id, ...more) => {
      reads.push(id);
      return handle(id, ...more);
    });
    return { ids, reads };
  }

  test('are read once each, though they are named often', async () => {
    const { ids, reads } = await answered(2);
    const { statusCode } = await ask([...ids, ...Array(200).fill(ids[0])]);
    expect(statusCode).toBe(200);
    const last = [...gateway.temporal.runs.values()].at(-1)?.options.args[0];
    const turn = { role: 'assistant', content: 'It is paid.' };
    expect(last?.history).toEqual(Array(202).fill(turn));
    const [often = 0, once = 0] = ids.map((id) => reads.filter((run) => id.endsWith(run)).length);
    expect(once).toBeGreaterThan(0);
    expect(often).toBe(once);
  });

  test('are limited, and named where they are too many or too long, before any is read', async () => {
    const { reads } = await answered(0);
    const many = await ask(Array.from({ length: 65 }, (_, i) => `audio_talk-${i}`));
    expect([many.statusCode, many.json().error.param]).toEqual([400, 'messages[64].audio.id']);
    const long = await ask([`audio_${'x'.repeat(1_000)}`]);
    expect([long.statusCode, long.json().error.param]).toEqual([400, 'messages[0].audio.id']);
    expect(reads).toEqual([]);
  });

  test('are no longer read when the client has left', async () => {
    const { reads } = await answered(0);
    const conversation = {
      turns: Array.from({ length: 64 }, (_, i) => ({
        ...{ param: `messages[${i}]`, spoken: `audio_talk-${i}` },
        message: { role: 'assistant' as const, content: '' },
      })),
    } as unknown as Conversation;
    const who = { caller: { tenant: 'default' } as Caller, signal: AbortSignal.abort() };
    const models = new Models(gateway.deps.pipelines);
    const read = withSpokenTurns(gateway.deps as unknown as GatewayDeps, models, who, conversation);
    await expect(read).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect(reads).toEqual([]);
  });
});

describe('an answer in audio that is a call for the client', () => {
  const request = {
    ...{ modalities: ['text', 'audio'], audio: { voice: 'any', format: 'wav' } },
    messages: [{ role: 'user', content: 'Pay!' }],
    tools: [{ type: 'function', function: { name: 'refund', parameters: { type: 'object' } } }],
  };
  const calls = [{ type: 'function', function: { name: 'refund', arguments: '{"order":"1"}' } }];
  beforeEach(() => answers({ reply: '', toolCalls: [{ id: 'c', name: 'refund', arguments: { order: '1' } }] }));

  test('has no audio, as a whole and as a stream', async () => {
    const whole = (await post(request)).json();
    expect(whole.choices).toMatchObject([
      { finish_reason: 'tool_calls', message: { content: null, tool_calls: calls } },
    ]);
    expect(whole.choices[0].message).not.toHaveProperty('audio');
    const { body, statusCode } = await post({ ...request, stream: true });
    expect(statusCode).toBe(200);
    const told = body.split('\n').flatMap((line) => (/^data: \{/.test(line) ? [JSON.parse(line.slice(6))] : []));
    const deltas = told.map(({ choices }) => choices[0].delta);
    expect(deltas.flatMap(({ tool_calls = [] }) => tool_calls)).toMatchObject(calls);
    expect(told.at(-1).choices[0].finish_reason).toBe('tool_calls');
    expect(deltas.some((delta) => 'audio' in delta)).toBe(false);
  });

  test('fails without calls as before', async () => {
    answers({ reply: 'It is paid.' });
    expect((await post(request)).json().error.code).toBe('INVALID_OUTPUT');
  });
});
