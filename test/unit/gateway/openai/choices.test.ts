import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Authenticator, RequestRate } from '../../../../gateway/index.js';
import { merged } from '../../../../gateway/openai/merged.js';
import { assistant, chatModel, supportAgent } from '../../../../pipelines/catalog/index.js';
import { chat, code, exact, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';

const question = { input: z.object({ question: z.string() }) };
const cached = pipeline('cached', question, ({ input, stage }) => ({
  text: stage('answer', chat({ model: 'assistant' }), { prompt: input.question }, { cache: exact() }).text,
}));
const text = z.object({ text: z.string() });
const note = code('note', { input: text, output: text }, (input) => input);
const noting = pipeline('noting', question, ({ input, stage }) => ({
  text: stage('note', note, { text: input.question }).text,
}));
const outer = pipeline('outer', question, ({ input, run }) => ({
  text: run('inner', cached, { question: input.question }, { as: 'child' }).text,
}));

let gateway: TestGateway;
let events: RunEvent[];
/** A tenant may make five requests a minute and have four runs at once. */
const authenticator = new Authenticator({ by: 'proxy' }, pino({ level: 'silent' }), {
  rate: { perSecond: 5 / 60, burst: 5 },
  runs: 4,
  requests: new RequestRate(),
});
const parts = {
  pipelines: [chatModel, assistant, supportAgent, cached, noting, outer] as unknown as Pipeline[],
  placementOf: () => ({}),
  events: toldEvents(() => events),
};
beforeEach(async () => {
  events = [];
  gateway = await testGateway({}, parts);
});
afterEach(() => gateway.close());

const post = (body: object, headers = {}) =>
  gateway.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers,
    payload: { model: 'chat', messages: [{ role: 'user', content: 'Why?' }], ...body },
  });
const TEXTS = ['One.', 'Two.', 'Three.'];
const usage = { inputTokens: 7, outputTokens: 2 };
const stages = [
  { stage: 'answer', kind: 'chat', connector: 'x', model: 'm', device: '', status: 'done', usage } as const,
];
/** The runs answer with these texts, in the order of their starts. */
const answers = (texts = TEXTS) => {
  const left = [...texts];
  gateway.temporal.onStart = (run) => run.end({ output: { text: left.shift() ?? '', finish: 'stop' }, stages });
};
const started = () => [...gateway.temporal.runs.values()];

interface Body {
  readonly id: string;
  readonly choices: readonly { readonly index: number; readonly message: { readonly content: string } }[];
  readonly millrace?: { readonly runs?: readonly string[] };
}

describe('several choices', () => {
  test('are a run each, with the tokens of all', async () => {
    answers();
    const response = await post({ n: 3, temperature: 1 });
    const { id, choices, millrace } = response.json<Body>();
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(new Set(choices.map(({ message }) => message.content))).toEqual(new Set(TEXTS));
    expect(response.json()).toMatchObject({ usage: { prompt_tokens: 21, completion_tokens: 6, total_tokens: 27 } });
    const ids = started().map(({ options }) => options.workflowId);
    expect(new Set(millrace?.runs)).toEqual(new Set(ids));
    expect(`chatcmpl-${millrace?.runs?.[0]}`).toBe(id);
    expect(response.headers['millrace-run']).toBe(millrace?.runs?.[0]);
    for (const { options } of started())
      expect(options.args[0]).toEqual({ prompt: 'Why?', history: [], temperature: 1 });
  });

  test('one is a completion as ever', async () => {
    answers();
    expect((await post({ n: 1 })).json()).not.toHaveProperty('millrace');
    expect(started()).toHaveLength(1);
  });

  test('have a seed each', async () => {
    answers();
    await post({ n: 3, seed: Number.MAX_SAFE_INTEGER - 1 });
    const seeds = started().map(({ options }) => options.args[0].seed);
    expect(new Set(seeds).size).toBe(3);
    expect(seeds).toContain(Number.MAX_SAFE_INTEGER - 1);
    expect(seeds.every(Number.isSafeInteger)).toBe(true);
  });

  test('are the same again for the same key', async () => {
    answers();
    const headers = { 'idempotency-key': 'k1' };
    const first = await post({ n: 3 }, headers);
    const again = await post({ n: 3 }, headers);
    expect(again.json<Body>().choices).toEqual(first.json<Body>().choices);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(started()).toHaveLength(3);
  });

  test('are streamed side by side, under one id, with one usage and one end', async () => {
    const of = { stage: 'answer', path: 'answer', attempt: 1 };
    events = [
      { type: 'stage.started', ...of, kind: 'chat', model: 'assistant' },
      { type: 'stage.delta', ...of, text: 'So' },
    ];
    answers(['So it is.', 'So be it.']);
    const { body } = await post({ n: 2, stream: true, stream_options: { include_usage: true } });
    const data = [...body.matchAll(/^data: (.*)$/gm)].map(([, line]) => line ?? '');
    expect(data.at(-1)).toBe('[DONE]');
    interface Chunk extends Pick<Body, 'id'> {
      readonly choices: readonly {
        readonly index: number;
        readonly delta: { readonly content?: string; readonly role?: string };
        readonly finish_reason: string | null;
      }[];
      readonly usage: object | null;
      readonly millrace?: { readonly run?: string };
    }
    const chunks = data.slice(0, -1).map((line) => JSON.parse(line) as Chunk);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    const textOf = (index: number) =>
      chunks.flatMap(({ choices }) => choices.filter((each) => each.index === index)).map(({ delta }) => delta.content);
    expect([textOf(0).join(''), textOf(1).join('')].sort()).toEqual(['So be it.', 'So it is.']);
    expect(chunks.filter(({ choices }) => choices[0]?.delta.role === 'assistant')).toHaveLength(2);
    const ends = chunks.filter(({ choices }) => choices[0]?.finish_reason === 'stop');
    expect(new Set(ends.map(({ millrace }) => millrace?.run))).toEqual(new Set(gateway.temporal.runs.keys()));
    expect(chunks.filter((chunk) => chunk.usage)).toEqual([chunks.at(-1)]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 18 } });
  });

  test.each([false, true])('end with the first that fails (stream: %s)', async (stream) => {
    let starts = 0;
    gateway.temporal.onStart = (run) => {
      starts += 1;
      if (starts === 3) run.end(failure('BACKEND_UNAVAILABLE', 'no server', { stages: [] }));
    };
    const response = await post({ n: 3, stream });
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ error: { message: 'no server' } });
    await expect.poll(() => gateway.temporal.sent).toEqual([['cancel'], ['cancel']]);
  });

  test.each([
    ['more than the most', { n: 9 }],
    ['none', { n: 0 }],
    ['an agent', { model: 'support-agent', n: 2 }],
    ['a cache', { model: 'cached', n: 2 }],
    ['a cache of a child run', { model: 'outer', n: 2 }],
    ['effects', { model: 'noting', n: 2 }],
    ['audio', { model: 'assistant', n: 2, modalities: ['text', 'audio'], audio: { voice: 'a', format: 'wav' } }],
  ])('are refused for %s', async (_, body) => {
    const response = await post(body);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param: 'n', code: 'INVALID_INPUT' } });
    expect(started()).toHaveLength(0);
  });
});

describe('the limits of a tenant', () => {
  beforeEach(async () => {
    await gateway.close();
    gateway = await testGateway({}, { ...parts, authenticator });
  });

  test('count each choice as a request', async () => {
    answers();
    const headers = { 'millrace-tenant': 'acme' };
    expect((await post({ n: 3 }, headers)).statusCode).toBe(200);
    const refused = await post({ n: 3 }, headers);
    expect([refused.statusCode, refused.json().error.code]).toEqual([429, 'rate_limit_exceeded']);
    expect(started()).toHaveLength(3);
  });

  test('of concurrent runs are told', async () => {
    const refused = await post({ n: 5 }, { 'millrace-tenant': 'other' });
    expect(refused.json()).toMatchObject({ error: { param: 'n', message: expect.stringContaining('the 4 runs') } });
  });
});

test('a source that fails while its reader is busy fails the reader alone', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  async function* failing(): AsyncGenerator<string> {
    yield 'first';
    throw new Error('broke off');
  }
  try {
    const reader = merged(failing());
    expect(await reader.next()).toEqual({ done: false, value: 'first' });
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(reader.next()).rejects.toThrow('broke off');
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
