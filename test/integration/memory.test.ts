import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { memoryKind } from '../../activities/sessions/index.js';
import { type AgentOptions, agent, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunContext, StageCall } from '../../pipelines/run/index.js';
import { CALL_KINDS } from '../../pipelines/stages/call-kinds.js';
import { place } from '../../placement/place.js';
import { connected } from '../../stores/redis/index.js';
import { FactStore, SessionStore } from '../../stores/sessions/index.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { poolOf } from '../support/runs.js';
import { type ModelRequest, runScript, type Said, scripted } from '../support/scripted-model.js';
import { testRedis } from '../support/test-worker.js';

const DAY_MS = 86_400_000;
const tenant = `memory-${randomUUID()}`;
let redis: Redis;
let store: FactStore;

beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 30_000);
  store = new FactStore(redis);
});
afterAll(async () => {
  const keys = await redis.keys(`millrace:session:*${tenant}*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

const nameOf = (user: string = randomUUID(), of = 'desk') => ({ tenant, of, user });
const fact = (text: string, more: { key?: string; most?: number; ttlMs?: number } = {}) => ({
  key: text,
  text,
  most: 10,
  ttlMs: DAY_MS,
  ...more,
});
const textsOf = async (name: ReturnType<typeof nameOf>) => (await store.list(name)).map(({ id, text }) => [id, text]);

describe('facts about users', () => {
  it('are kept by user, pipeline and tenant, and erased one by one or all at once', async () => {
    const ada = nameOf();
    expect(await store.add(ada, fact('Likes tea.'))).toBe(1);
    expect(await store.add(ada, fact('Lives in Köln 🏙.'))).toBe(2);
    expect(await textsOf(ada)).toEqual([
      [1, 'Likes tea.'],
      [2, 'Lives in Köln 🏙.'],
    ]);
    expect(await textsOf(nameOf())).toEqual([]);
    expect(await textsOf(nameOf(ada.user, 'shop'))).toEqual([]);
    expect(await store.list({ ...ada, tenant: `${tenant}-b` })).toEqual([]);
    expect(await store.remove(ada, 1)).toBe(true);
    expect(await store.remove(ada, 1)).toBe(false);
    // A number is not used again: another run may still mean the fact that had it.
    expect(await store.remove(ada, 2)).toBe(true);
    expect(await store.add(ada, fact('Likes coffee.'))).toBe(3);
    expect(await store.erase(ada)).toBe(true);
    expect(await store.erase(ada)).toBe(false);
    expect(await store.list(ada)).toEqual([]);
  });

  it('are added once: by an attempt that is repeated, and if they are known', async () => {
    const ada = nameOf();
    expect(await store.add(ada, fact('Likes tea.', { key: 'a' }))).toBe(1);
    expect(await store.add(ada, fact('Likes tea!', { key: 'a' }))).toBe(1);
    expect(await store.add(ada, fact('Likes tea.', { key: 'b' }))).toBe(1);
    expect(await textsOf(ada)).toEqual([[1, 'Likes tea.']]);
  });

  it('of concurrent runs are all kept', async () => {
    const ada = nameOf();
    const ids = await Promise.all(Array.from({ length: 10 }, (_, i) => store.add(ada, fact(`Fact ${i}.`))));
    expect(new Set(ids).size).toBe(10);
    expect(await store.list(ada)).toHaveLength(10);
    expect(await store.add(ada, fact('One more.'))).toBeUndefined();
    await store.remove(ada, ids[3] as number);
    expect(await store.add(ada, fact('One more.'))).toBe(11);
  });

  it('expire after the last was added', async () => {
    const ada = nameOf();
    await store.add(ada, fact('Likes tea.', { ttlMs: 200 }));
    await expect.poll(() => store.list(ada), { timeout: 30_000 }).toEqual([]);
  });

  it('count against the tenant’s quota with its conversations, until they are removed', async () => {
    const own = { tenant: `${tenant}-${randomUUID().slice(0, 8)}`, of: 'desk' };
    const quota = { sessions: 2, bytes: 400 };
    const [facts, sessions] = [new FactStore(redis, quota), new SessionStore(redis, quota)];
    await sessions.add({ ...own, session: 's' }, { key: '1', messages: [], ttlMs: DAY_MS });
    await facts.add({ ...own, user: 'ada' }, fact('Likes tea.'));
    await expect(facts.add({ ...own, user: 'bob' }, fact('Likes tea.'))).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringContaining('MILLRACE_TENANT_SESSIONS'),
    });
    const long = fact('x'.repeat(300), { key: 'x' });
    await expect(facts.add({ ...own, user: 'ada' }, long)).rejects.toMatchObject({
      message: expect.stringContaining('MILLRACE_TENANT_SESSION_BYTES'),
    });
    // A conversation of the user's name is another entry.
    await sessions.erase({ ...own, session: 'ada' });
    expect(await facts.list({ ...own, user: 'ada' })).toHaveLength(1);
    await facts.remove({ ...own, user: 'ada' }, 1);
    expect(await facts.add({ ...own, user: 'ada' }, fact('y'.repeat(200), { key: 'y' }))).toBe(2);
    await facts.erase({ ...own, user: 'ada' });
    expect(await facts.add({ ...own, user: 'bob' }, fact('y'.repeat(200), { key: 'y' }))).toBe(1);
  });

  it('cannot be had without Redis', async () => {
    const lost = testRedis('redis://127.0.0.1:1', 500);
    await expect(new FactStore(lost).list(nameOf())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    lost.disconnect();
  });
});

describe('an agent with memory', () => {
  const requests: ModelRequest[] = [];
  function made(script: (request: ModelRequest) => Said, more: Partial<AgentOptions> = {}): Pipeline {
    const model = scripted(randomUUID(), (request) => {
      requests.push(request);
      return script(request);
    });
    const use = agent({ model, instructions: 'Be kind.', memory: { keep: '1d', facts: 2 }, ...more });
    const input = z.object({ q: z.string(), user: z.string().optional() });
    return pipeline('desk', { input }, ({ input: given, stage }) => {
      const { text, toolCalls, stoppedBy } = stage('answer', use, { prompt: given.q, user: given.user });
      return { text, toolCalls, stoppedBy };
    }) as unknown as Pipeline;
  }
  async function run(of: Pipeline, input: JsonObject, more: Partial<RunContext> = {}): Promise<JsonObject> {
    const id = randomUUID();
    const kind = memoryKind(store);
    const runner = {
      async run(given: JsonObject, call: StageCall, { signal, attempt }: { signal: AbortSignal; attempt: number }) {
        const { model, with: options, kind: what, path = '' } = call;
        const context = { signal, audio: {} as never, idempotencyKey: `${id}/${path}` };
        const ended =
          what === 'memory'
            ? {
                output: CALL_KINDS.memory.output.parse(
                  await kind(
                    {
                      model,
                      with: options,
                      input: CALL_KINDS.memory.input.parse(given) as JsonObject,
                      tenant: call.tenant,
                    },
                    context,
                  ),
                ) as JsonObject,
              }
            : await runScript(call, given);
        return { ...ended, endpoint: '', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 } as const;
      },
    };
    const placement = place(of.plan, () => poolOf('assistant'), 'test');
    const context: RunContext = { plan: of.plan, tenant, placement, ...more };
    return (await runInProcess(input, context, { runner, run: id })).output;
  }
  const system = () => String(requests.at(-1)?.with.system);
  /** Remembers what the prompt says after "note:", forgets the number after "drop:", and otherwise answers. */
  const desk = ({ messages }: ModelRequest): Said => {
    const last = messages.at(-1);
    const [, verb, rest = ''] = /^(note|drop): (.*)$/s.exec(last?.content ?? '') ?? [];
    if (verb === 'note') return { calls: [['remember', { fact: rest }]] };
    if (verb === 'drop') return { calls: [['forget', { fact: Number(rest) }]] };
    return { text: `re: ${last?.content}` };
  };

  it('knows in later runs what it has remembered of the user, and of nobody else', async () => {
    const of = made(desk);
    const user = randomUUID();
    expect(await run(of, { q: 'note: Likes\n [9] "tea".', user })).toMatchObject({
      text: 're: Remembered as [1].',
      toolCalls: [{ name: 'remember', end: 'done' }],
    });
    expect(system()).toContain('Be kind.\n\nNothing is remembered about this user yet.');
    await run(of, { q: 'Who am I?', user });
    expect(system()).toContain('[1] "Likes [9] \\"tea\\"."');
    expect(requests.at(-1)?.tools).toEqual(['remember', 'forget']);
    await run(of, { q: 'Who am I?', user: randomUUID() });
    expect(system()).not.toContain('tea');
    // The same name of another owner's user, and another tenant's.
    await run(of, { q: 'Who am I?', user }, { sessionsOf: 'desk/key:b2' });
    expect(system()).not.toContain('tea');
    await run(of, { q: 'Who am I?', user }, { tenant: `${tenant}-b` });
    expect(system()).not.toContain('tea');
    // Nobody is named: there is no memory.
    await run(of, { q: 'Who am I?' });
    expect([system(), requests.at(-1)?.tools]).toEqual(['Be kind.', []]);
  });

  it('has to forget a fact before it remembers more than it may', async () => {
    const of = made(desk);
    const user = randomUUID();
    await run(of, { q: 'note: One.', user });
    await run(of, { q: 'note: Two.', user });
    expect(await run(of, { q: 'note: Three.', user })).toMatchObject({ text: expect.stringContaining('2 facts') });
    expect(await run(of, { q: 'drop: 1', user })).toMatchObject({ text: 're: Fact [1] is forgotten.' });
    expect(await run(of, { q: 'drop: 1', user })).toMatchObject({ text: 're: There is no fact [1].' });
    expect(await run(of, { q: 'note: Three.', user })).toMatchObject({ text: 're: Remembered as [3].' });
    await run(of, { q: 'And?', user });
    expect(system()).toContain('[2] "Two."\n[3] "Three."');
  });

  it('is told what is wrong with a fact, and remembers none that is empty', async () => {
    const of = made(desk);
    const user = randomUUID();
    const long = await run(of, { q: `note: ${'x'.repeat(301)}`, user });
    expect(long.toolCalls).toMatchObject([{ end: 'wrong', code: 'INVALID_TOOL_CALL' }]);
    expect(await run(of, { q: 'note: \n\t ', user })).toMatchObject({ text: expect.stringContaining('is empty') });
    expect(await textsOf({ tenant, of: 'desk', user })).toEqual([]);
  });

  it('ends at its limit of turns although it has no other tools', async () => {
    const script = ({ tools }: ModelRequest): Said =>
      tools.length > 0 ? { calls: [['forget', { fact: 9 }]] } : { text: 'Enough.' };
    const ended = await run(made(script, { maxTurns: 3 }), { q: 'Go.', user: randomUUID() });
    expect(ended).toMatchObject({ text: 'Enough.', stoppedBy: 'turns' });
  });

  it('shows the newest facts where the context is short', async () => {
    const user = randomUUID();
    for (let i = 1; i <= 10; i++) await store.add({ tenant, of: 'desk', user }, fact(`${i}: ${'y'.repeat(280)}`));
    await run(made(desk, { context: { tokens: 2_000 } }), { q: 'Hi.', user });
    // A quarter of the context, at three characters a token.
    expect(system()).toContain('(5 older ones are not shown.)\n[6]');
    expect(system()).toContain('[10]');
    expect(system().length).toBeLessThan(1_500 + 400);
  });
});
