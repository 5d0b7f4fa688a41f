import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sessionKind } from '../../activities/sessions/index.js';
import { agent, type Pipeline, pipeline, tool } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunContext, StageCall } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { connected } from '../../stores/redis/index.js';
import { SessionStore } from '../../stores/sessions/index.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { poolOf } from '../support/runs.js';
import { type ModelRequest, runScript, type Said, scripted } from '../support/scripted-model.js';
import { testRedis } from '../support/test-worker.js';

const tenant = `agent-sessions-${randomUUID()}`;
let redis: Redis;
let store: SessionStore;

beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 30_000);
  store = new SessionStore(redis);
});
afterAll(async () => {
  const keys = await redis.keys(`millrace:session:*${tenant}*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

describe('an agent with sessions', () => {
  const weather = tool({
    name: 'get_weather',
    description: 'The weather',
    input: z.object({ city: z.string() }),
    run: ({ city }) => `sun in ${city}`,
  });
  const requests: ModelRequest[] = [];
  const made = (of: string, script: (request: ModelRequest) => Said, summarizeOver: number) => {
    const model = scripted(of, (request) => {
      requests.push(request);
      return script(request);
    });
    const use = agent({ model, instructions: 'Be kind.', tools: [weather], session: { keep: '1d', summarizeOver } });
    const input = z.object({ q: z.string(), session: z.string().optional() });
    return pipeline(of, { input }, ({ input: given, stage }) => {
      const { text, turns, usage } = stage('answer', use, { prompt: given.q, session: given.session });
      return { text, turns, usage };
    }) as unknown as Pipeline;
  };
  async function run(of: Pipeline, input: JsonObject, sessionsOf?: string, id = randomUUID()): Promise<JsonObject> {
    const kind = sessionKind(store);
    const runner = {
      async run(given: JsonObject, call: StageCall, { signal, attempt }: { signal: AbortSignal; attempt: number }) {
        const { model, with: options, kind: what, path = '' } = call;
        const context = { signal, audio: {} as never, idempotencyKey: `${id}/${path}` };
        const ended =
          what === 'session'
            ? { output: await kind({ model, with: options, input: given, tenant }, context) }
            : what === 'chat'
              ? await runScript(call, given)
              : { output: { result: `sun in ${String(given.city)}` } };
        return { ...ended, endpoint: '', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 } as const;
      },
    };
    const placement = place(of.plan, () => poolOf('assistant'), 'test');
    const context: RunContext = { plan: of.plan, tenant, placement, ...(sessionsOf !== undefined && { sessionsOf }) };
    return (await runInProcess(input, context, { runner, run: id })).output;
  }
  const conversation = ({ messages }: ModelRequest) => messages.map(({ role, content }) => `${role}: ${content}`);

  it('goes on where the last run ended, its tool calls included', async () => {
    requests.length = 0;
    const talk = made(
      'talk',
      ({ messages, tools }) => {
        const last = messages.at(-1)?.content ?? '';
        if (last === 'Weather in Oslo?' && tools.length > 0) return { calls: [['get_weather', { city: 'Oslo' }]] };
        return { text: `re: ${last}` };
      },
      100_000,
    );
    const session = randomUUID();
    expect(await run(talk, { q: 'Weather in Oslo?', session })).toMatchObject({ text: 're: sun in Oslo' });
    expect(await run(talk, { q: 'And now?', session })).toMatchObject({ text: 're: And now?', turns: 1 });
    expect(conversation(requests.at(-1) as ModelRequest)).toEqual([
      'user: Weather in Oslo?',
      'assistant: ',
      'tool: sun in Oslo',
      'assistant: re: sun in Oslo',
      'user: And now?',
    ]);
    await run(talk, { q: 'Who are you?', session: randomUUID() });
    expect(conversation(requests.at(-1) as ModelRequest)).toEqual(['user: Who are you?']);
    await run(talk, { q: 'Alone?' });
    expect(conversation(requests.at(-1) as ModelRequest)).toEqual(['user: Alone?']);
    // The same name, asked for by another: it is another conversation.
    await run(talk, { q: 'And I?', session }, 'talk/key:b2');
    expect(conversation(requests.at(-1) as ModelRequest)).toEqual(['user: And I?']);
  });

  it('makes a summary when the conversation is long, and tells it in the system message', async () => {
    requests.length = 0;
    const long = made(
      'long',
      ({ messages }) => {
        const usage = { inputTokens: 40 * messages.length, outputTokens: 10 };
        const last = messages.at(-1)?.content ?? '';
        return last.includes('Sum up this conversation')
          ? { text: 'They greeted.', usage }
          : { text: `re: ${last}`, usage };
      },
      100,
    );
    const session = randomUUID();
    await run(long, { q: 'one', session });
    const second = await run(long, { q: 'two', session });
    // The last model call had 3 messages: 130 tokens. The summary's own tokens are counted; it is no turn.
    expect(second).toMatchObject({ turns: 1, usage: { inputTokens: 120 + 40, outputTokens: 20 } });
    expect(conversation(requests.at(-1) as ModelRequest)[0]).toMatch(/one[\s\S]*re: one/);
    await run(long, { q: 'three', session });
    const third = requests.find(({ messages }) => messages.at(-1)?.content === 'three') as ModelRequest;
    expect(conversation(third)).toEqual(['user: two', 'assistant: re: two', 'user: three']);
    expect(third.with.system).toContain('Be kind.\n\nThe conversation so far, in short: They greeted.');
  });

  it('is told what was done in turns that runs had to shorten: its first one, and two at once', async () => {
    requests.length = 0;
    const CALLS = 10;
    const text = 'I order it now. '.repeat(40);
    const called = new Map<string, number>();
    const model = scripted('orders', (request) => {
      requests.push(request);
      const { messages, tools } = request;
      if (messages.at(-1)?.content.includes('Sum up this conversation')) return { text: 'They ordered.' };
      const asked = messages.findLast(({ role }) => role === 'user')?.content ?? '';
      const n = (called.get(asked) ?? 0) + 1;
      if (!asked.startsWith('order') || n > CALLS || tools.length === 0) return { text: 'Done.' };
      called.set(asked, n);
      return { text, calls: [['get_weather', { city: `${asked}-${n} ${'x'.repeat(190)}` }]] };
    });
    const use = agent({
      ...{ model, tools: [weather], maxTurns: 20, maxTokens: 256, context: { tokens: 3_000 } },
      session: { keep: '1d', summarizeOver: 100_000 },
    });
    const input = z.object({ q: z.string(), session: z.string().optional() });
    const orders = pipeline('orders', { input }, ({ input: given, stage }) => ({
      text: stage('answer', use, { prompt: given.q, session: given.session }).text,
    })) as unknown as Pipeline;
    const told = async (session: string) => {
      expect(await run(orders, { q: 'And now?', session })).toEqual({ text: 'Done.' });
      return String(requests.findLast(({ messages }) => messages.at(-1)?.content === 'And now?')?.with.system);
    };
    const [alone, shared] = [randomUUID(), randomUUID()];
    await run(orders, { q: 'order a', session: alone });
    expect(await told(alone)).toContain('order a-1 ');
    await run(orders, { q: 'Hello.', session: shared });
    await Promise.all(['order b', 'order c'].map((q) => run(orders, { q, session: shared })));
    const after = await told(shared);
    for (const one of ['order b-1 ', 'order c-1 ']) expect(after).toContain(one);
  });

  it('keeps all where the summary fails, and answers all the same', async () => {
    const stubborn = made(
      'stubborn',
      ({ messages }) => {
        if (messages.at(-1)?.content.includes('Sum up this conversation')) return { text: ' ' };
        return { text: 'Yes.', usage: { inputTokens: 1_000, outputTokens: 1 } };
      },
      100,
    );
    const session = randomUUID();
    for (const q of ['one', 'two', 'three'])
      expect(await run(stubborn, { q, session })).toMatchObject({ text: 'Yes.' });
    const { messages } = await store.load({ tenant, of: 'stubborn', session });
    expect(messages.map(({ content }) => content)).toEqual(['one', 'Yes.', 'two', 'Yes.', 'three', 'Yes.']);
  });
});
