import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { chatModel } from '../../pipelines/catalog/index.js';
import { agent, type Pipeline, pipeline } from '../../pipelines/index.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { LATE_ONCE } from '../support/soonest.js';

/** Responses that are kept: the official client against real servers; the model repeats the conversation that it is given. */

/** Temporal removes a history after its own tasks for it; they are tried again with growing pauses. */
const ERASED_MS = 90_000;

/** Holds back what was asked with the word. */
const gates = new Map<string, { opened: Promise<void>; open: () => void }>();
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  const made: { resolve: () => void } = { resolve: () => undefined };
  const promise = new Promise<void>((resolve) => Object.assign(made, { resolve }));
  return { promise, resolve: () => made.resolve() };
}
function gate(word: string) {
  const { promise: opened, resolve: open } = withResolvers();
  gates.set(word, { opened, open });
  return open;
}
const llm = new ScriptedLlm(async ({ messages }) => {
  const last = messages.at(-1)?.content ?? '';
  await gates.get(last)?.opened;
  return { text: messages.map(({ role, content }) => `${role}(${content})`).join(' ') };
});

const remembering = pipeline(
  'remembering',
  { input: z.object({ prompt: z.string(), session: z.string().optional() }) },
  ({ input, stage }) => ({
    text: stage('say', agent({ model: 'assistant', session: {} }), { prompt: input.prompt, session: input.session })
      .text,
  }),
);

let served: ServedPipelines;
let other: ServedPipelines;
let client: OpenAI;
const clientOf = ({ url }: ServedPipelines, headers: Record<string, string> = {}) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0, defaultHeaders: headers });
beforeAll(async () => {
  const more = { MILLRACE_MODELS: await llm.listen('assistant') };
  const pipelines = [chatModel, remembering] as unknown as Pipeline<never>[];
  const queue = `responses-${process.pid}-${Date.now()}`;
  [served, other] = await Promise.all([
    servePipelines(pipelines, { more, queue }),
    servePipelines(pipelines, { more, queue }),
  ]);
  client = clientOf(served);
});
afterAll(async () => {
  for (const { open } of gates.values()) open();
  await Promise.all([served?.close(), other?.close()]);
  llm.close();
});

const say = (input: OpenAI.Responses.ResponseInput | string, more: object = {}) =>
  client.responses.create({ model: 'chat', input, ...more });
const listed = async <T>(all: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const each of all) found.push(each);
  return found;
};

/** A response comes before Temporal has recorded it; who goes on from it at once waits two seconds at most for that. */
const AT_ONCE = LATE_ONCE;

describe('a kept response', () => {
  test('is what a later one goes on from, without its instructions', AT_ONCE, async () => {
    const first = await say('A', { instructions: 'Be brief.' });
    expect(first.output_text).toBe('user(A)');
    const second = await say('B', { previous_response_id: first.id, instructions: 'Be kind.' });
    expect(second.output_text).toBe('user(A) assistant(user(A)) user(B)');
    const third = await say('C', { previous_response_id: second.id });
    expect(third.output_text).toBe(`user(A) assistant(user(A)) user(B) assistant(${second.output_text}) user(C)`);
    expect(third.previous_response_id).toBe(second.id);
  });

  test('has items that a later request refers to', AT_ONCE, async () => {
    const first = await say('A');
    const reference = { type: 'item_reference' as const, id: first.output[0]?.id ?? '' };
    const second = await say([{ role: 'user', content: 'A' }, reference, { role: 'user', content: 'B' }]);
    expect(second.output_text).toBe('user(A) assistant(user(A)) user(B)');
    const wrong = say([
      { type: 'item_reference', id: 'msg_chat-none' },
      { role: 'user', content: 'B' },
    ]);
    await expect(wrong).rejects.toMatchObject({ status: 400, param: 'input[0]' });
  });

  test('is fetched from another gateway as it was, with its metadata and what it was asked with, and erased', async () => {
    const first = await say('A', { metadata: { topic: 'mills' }, truncation: 'disabled', include: [] });
    const elsewhere = clientOf(other);
    // It comes before Temporal has recorded it.
    await expect.poll(async () => (await elsewhere.responses.retrieve(first.id)).status).toBe('completed');
    const { usage: _, ...kept } = await elsewhere.responses.retrieve(first.id);
    expect(kept).toMatchObject({
      ...kept,
      id: first.id,
      output: first.output,
      metadata: { topic: 'mills' },
      status: 'completed',
    });
    const items = await listed(elsewhere.responses.inputItems.list(first.id));
    expect(items).toMatchObject([{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'A' }] }]);
    await elsewhere.responses.delete(first.id);
    const gone = async () =>
      await client.responses.retrieve(first.id).then(
        () => 'there',
        ({ status }) => status,
      );
    await expect.poll(gone, { timeout: ERASED_MS, interval: 500 }).toBe(404);
    await expect(say('B', { previous_response_id: first.id })).rejects.toMatchObject({
      status: 400,
      param: 'previous_response_id',
    });
    expect((await fetch(`${served.url}/v1/runs/${first.id.replace('resp_', '')}`)).status).toBe(404);
  });

  test('is not there for another tenant, nor with store: false', async () => {
    const first = await say('A');
    const stranger = clientOf(served, { 'millrace-tenant': 'stranger' });
    await expect(stranger.responses.retrieve(first.id)).rejects.toMatchObject({ status: 404 });
    await expect(stranger.responses.delete(first.id)).rejects.toMatchObject({ status: 404 });
    const asked = { model: 'chat', input: 'B', previous_response_id: first.id };
    await expect(stranger.responses.create(asked)).rejects.toMatchObject({ status: 400 });
    const unkept = await say('A', { store: false });
    await expect(client.responses.retrieve(unkept.id)).rejects.toMatchObject({ status: 404 });
  });
});

describe('in the background', () => {
  test('a response is given out at once and fetched when it is complete', async () => {
    const open = gate('held');
    const queued = await say('held', { background: true });
    expect(queued).toMatchObject({ status: 'queued', background: true, output: [] });
    expect(await client.responses.retrieve(queued.id)).toMatchObject({ status: 'in_progress' });
    open();
    const status = async () => (await clientOf(other).responses.retrieve(queued.id)).status;
    await expect.poll(status, { timeout: 60_000 }).toBe('completed');
    expect((await client.responses.retrieve(queued.id)).output_text).toBe('user(held)');
  });

  // The answer waits three seconds at most for the end.
  test('it is cancelled, and erased only after that', LATE_ONCE, async () => {
    const open = gate('endless');
    const { id } = await say('endless', { background: true });
    await expect(client.responses.delete(id)).rejects.toMatchObject({ status: 409 });
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'cancelled' });
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'cancelled' });
    open();
  });

  test('a stream that breaks off goes on after the last event, at another gateway', async () => {
    const whole = [];
    const words = 'one two three four five six';
    const first = await client.responses.create({ model: 'chat', input: words, background: true, stream: true });
    let id = '';
    for await (const event of first) {
      whole.push(event);
      if (event.type === 'response.created') id = event.response.id;
      if (event.type === 'response.output_text.delta') break;
    }
    const after = whole.at(-1)?.sequence_number ?? 0;
    for await (const event of await clientOf(other).responses.retrieve(id, { stream: true, starting_after: after }))
      whole.push(event);
    expect(whole.map(({ sequence_number }) => sequence_number)).toEqual(whole.map((_, i) => i));
    const text = whole.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
    expect(text).toBe(`user(${words})`);
    expect(whole.at(-1)).toMatchObject({ type: 'response.completed' });
  });
});

describe('a conversation', () => {
  test('holds what was added and what was said, and is erased', AT_ONCE, async () => {
    const conversation = await client.conversations.create({
      items: [{ type: 'message', role: 'user', content: 'A' }],
      metadata: { topic: 'mills' },
    });
    const more = { conversation: conversation.id };
    expect((await say('B', more)).output_text).toBe('user(A) user(B)');
    const second = await say('C', more);
    expect(second.output_text).toBe('user(A) user(B) assistant(user(A) user(B)) user(C)');
    expect(second.conversation).toEqual({ id: conversation.id });
    const items = await listed(client.conversations.items.list(conversation.id, { order: 'asc' }));
    const texts = items.map(
      (item) => (item.type === 'message' ? item.content.map((part) => ('text' in part ? part.text : '')) : [])[0],
    );
    expect(texts).toEqual(['A', 'B', 'user(A) user(B)', 'C', second.output_text]);
    await client.conversations.update(conversation.id, { metadata: { topic: 'rivers' } });
    expect(await client.conversations.retrieve(conversation.id)).toMatchObject({ metadata: { topic: 'rivers' } });
    await client.conversations.delete(conversation.id);
    await expect(client.conversations.retrieve(conversation.id)).rejects.toMatchObject({ status: 404 });
    await expect(say('D', more)).rejects.toMatchObject({ status: 404 });
  });

  test('is the session of an agent that keeps one, which is erased with it', AT_ONCE, async () => {
    const { id } = await client.conversations.create({});
    const ask = (input: string) => client.responses.create({ model: 'remembering', input, conversation: id });
    expect((await ask('A')).output_text).toBe('user(A)');
    expect((await ask('B')).output_text).toBe('user(A) assistant(user(A)) user(B)');
    await client.conversations.delete(id);
    const afterwards = await served.run('remembering', { prompt: 'C', session: id });
    expect(afterwards.output).toEqual({ text: 'user(C)' });
  });

  test('takes one response at a time, and none of another tenant', async () => {
    const open = gate('slow');
    const { id } = await client.conversations.create({});
    await say('slow', { conversation: id, background: true });
    await expect(say('B', { conversation: id })).rejects.toMatchObject({ status: 409 });
    const stranger = clientOf(served, { 'millrace-tenant': 'stranger' });
    await expect(stranger.conversations.retrieve(id)).rejects.toMatchObject({ status: 404 });
    open();
  });
});
