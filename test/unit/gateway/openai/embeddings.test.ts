import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { Authenticator, RequestRate } from '../../../../gateway/index.js';
import { embedModel } from '../../../../pipelines/catalog/index.js';
import { code, embed, embedAll, embedTokens, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const lists = z.object({ texts: z.array(z.string()) });
const store = code('store', { input: lists, output: lists }, (input) => input);
/** Keeps what it embeds: its texts are one unit of work. */
const keeping = pipeline('keeping', { input: z.object({ texts: z.array(z.string()).max(3) }) }, ({ input, stage }) => ({
  embeddings: stage('embed', embedAll({ model: 'minilm' }), { texts: stage('store', store, input).texts }).embeddings,
}));
const single = pipeline('single', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
  embedding: stage('embed', embed({ model: 'minilm' }), input).embedding,
}));
const unbounded = pipeline('unbounded', { input: lists }, ({ input, stage }) => ({
  embeddings: stage('embed', embedAll({ model: 'minilm' }), input).embeddings,
}));

const ofTokens = pipeline(
  'tokens',
  { input: z.object({ tokens: z.array(z.array(z.int())).max(2) }) },
  ({ input, stage }) => ({ embeddings: stage('embed', embedTokens({ model: 'server' }), input).embeddings }),
);

const parts = {
  pipelines: [embedModel, keeping, single, unbounded, ofTokens] as unknown as Pipeline[],
  placementOf: () => ({}),
};
let gateway: TestGateway;
/** Most runs that were under way at once. */
let most = 0;
/** Runs answer, a moment after their start, with a vector of each text's number and its length. */
const answers = () => {
  let underWay = 0;
  most = 0;
  gateway.temporal.onStart = (run) => {
    underWay += 1;
    most = Math.max(most, underWay);
    const { texts = [] } = run.options.args[0] as { texts?: string[] };
    const usage = { inputTokens: texts.length };
    const stages = [
      { stage: 'embed', kind: 'embed', connector: 'x', model: 'm', device: '', status: 'done', usage } as const,
    ];
    setTimeout(() => {
      underWay -= 1;
      run.end({ output: { embeddings: texts.map((each) => [Number(each), 0.5]) }, stages });
    }, 5);
  };
};
const open = async (...[limits, change]: Parameters<typeof testGateway>) => {
  gateway = await testGateway(limits, { ...parts, ...change });
  answers();
};
const reopen = async (...change: Parameters<typeof testGateway>) => {
  await gateway.close();
  await open(...change);
};
beforeEach(() => open());
afterEach(() => gateway.close());

const post = (input: unknown, body: object = {}, headers = {}) =>
  gateway.app.inject({
    method: 'POST',
    url: '/v1/embeddings',
    headers,
    payload: { model: 'embed', input, ...body },
  });
const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));
const started = () => [...gateway.temporal.runs.values()].map(({ options }) => options.args[0].texts as string[]);

interface Body {
  readonly data: readonly { readonly index: number; readonly embedding: readonly number[] }[];
  readonly usage: { readonly prompt_tokens: number };
}

describe('tokens', () => {
  test.each([
    ['of one text', [7, 8], [[[7, 8]]]],
    ['of several texts, by several runs', [[1], [2, 3], [4]], [[[1], [2, 3]], [[4]]]],
  ])('%s go to a pipeline that takes them', async (_, input, given) => {
    gateway.temporal.onStart = (run) => {
      const { tokens } = run.options.args[0] as { tokens: number[][] };
      run.end({ output: { embeddings: tokens.map(([first = 0]) => [first, 0.5]) }, stages: [] });
    };
    const { data } = (await post(input, { model: 'tokens' })).json<Body>();
    expect(data.map(({ embedding }) => embedding[0])).toEqual(given.flat().map(([first]) => first));
    expect([...gateway.temporal.runs.values()].map(({ options }) => options.args[0].tokens)).toEqual(given);
  });
});

describe('more texts than a run takes', () => {
  test('are embedded by several runs, a few at a time, in their order', async () => {
    const response = await post(numbers(2_048));
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    const { data, usage } = response.json<Body>();
    expect(data.map(({ index, embedding }) => [index, embedding[0]])).toEqual(numbers(2_048).map((_, i) => [i, i]));
    expect(usage).toEqual({ prompt_tokens: 2_048, total_tokens: 2_048 });
    expect(started()).toHaveLength(32);
    expect(started().every(({ length }) => length === 64)).toBe(true);
    expect(most).toBe(4);
  });

  test('come as bytes where those are asked for', async () => {
    const response = await post(numbers(65), { encoding_format: 'base64' });
    const { data } = response.json<{ data: { embedding: string }[] }>();
    const last = Buffer.from(data[64]?.embedding ?? '', 'base64');
    expect([last.readFloatLE(0), last.readFloatLE(4)]).toEqual([64, 0.5]);
    expect(started().map(({ length }) => length)).toEqual([64, 1]);
  });

  test('are embedded once for the same key', async () => {
    const headers = { 'idempotency-key': 'k1' };
    const first = await post(numbers(65), {}, headers);
    const again = await post(numbers(65), {}, headers);
    expect(again.json()).toEqual(first.json());
    expect(started()).toHaveLength(2);
  });

  test('fail with the first run that does', async () => {
    let starts = 0;
    gateway.temporal.onStart = (run) => {
      starts += 1;
      if (starts === 2) run.end(failure('BACKEND_UNAVAILABLE', 'no server', { stages: [] }));
    };
    const response = await post(numbers(2_048));
    expect(response.statusCode).toBe(503);
    expect(starts).toBe(4);
    await expect.poll(() => gateway.temporal.sent).toEqual([['cancel'], ['cancel'], ['cancel']]);
  });

  test('with fewer embeddings are an error', async () => {
    gateway.temporal.onStart = (run) => run.end({ output: { embeddings: [[1]] }, stages: [] });
    const response = await post(numbers(130));
    expect(response.json()).toMatchObject({ error: { code: 'INVALID_OUTPUT' } });
  });

  test('go to one run where its pipeline has no bound', async () => {
    expect((await post(numbers(100), { model: 'unbounded' })).json<Body>().data).toHaveLength(100);
    expect(started()).toHaveLength(1);
  });

  test('hold slots of the tenant until they are sent', async () => {
    await reopen({ maxStreamsOfTenant: 4 });
    expect((await post(numbers(6 * 64))).json()).toMatchObject({ error: { code: 'TOO_MANY_STREAMS' } });
    expect(started()).toHaveLength(0);
    for (let i = 0; i < 3; i++) expect((await post(numbers(2 * 64))).statusCode).toBe(200);
  });

  test('hold no slots for a client that left before they were taken', async () => {
    const authenticator = new Authenticator({ by: 'loopback' }, pino({ level: 'silent' }));
    let counted: () => void = () => undefined;
    const counting = new Promise<void>((resolve) => {
      counted = resolve;
    });
    const charge = vi.spyOn(authenticator, 'charge').mockReturnValueOnce(counting);
    await reopen({ maxStreamsOfTenant: 4 }, { authenticator });
    const url = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    const client = new AbortController();
    const sent = fetch(`${url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'embed', input: numbers(4 * 64) }),
      signal: client.signal,
    }).catch(() => undefined);
    await vi.waitFor(() => expect(charge).toHaveBeenCalled(), 15_000);
    client.abort();
    await sent;
    await vi.waitFor(() => expect(gateway.lines).toContainEqual(expect.objectContaining({ status: 499 })), 15_000);
    counted();
    await new Promise(setImmediate);
    expect((await post(numbers(2 * 64))).statusCode).toBe(200);
  });

  test('count as many requests', async () => {
    const authenticator = new Authenticator({ by: 'proxy' }, pino({ level: 'silent' }), {
      rate: { perSecond: 5 / 60, burst: 5 },
      requests: new RequestRate(),
    });
    await reopen({}, { authenticator });
    const headers = { 'millrace-tenant': 'acme' };
    expect((await post(numbers(3 * 64), {}, headers)).statusCode).toBe(200);
    expect((await post(numbers(3 * 64), {}, headers)).statusCode).toBe(429);
    const never = await post(numbers(6 * 64), {}, { 'millrace-tenant': 'other' });
    expect(never.json()).toMatchObject({ error: { param: 'input', message: expect.stringContaining('6 runs') } });
    expect(started()).toHaveLength(3);
  });

  test.each([
    ['a pipeline with effects', numbers(4), { model: 'keeping' }, /input/],
    ['a pipeline of one text', numbers(2), { model: 'single' }, /takes a single text/],
    ['more than OpenAI takes', numbers(2_049), {}, /has 2049 texts; a request may have 2048/],
    ['an empty text in a later run', [...numbers(64), ''], {}, /input/],
    ['tokens', [1, 2], {}, /takes texts.*check_embedding_ctx_length=False.*takes "tokens"/],
    ['lists of tokens', [[1, 2], [3]], { model: 'single' }, /takes texts/],
    ['texts where tokens are taken', 'a', { model: 'tokens' }, /lists of tokens/],
    ['tokens that are none', [[1, -2]], { model: 'tokens' }, /lists of tokens/],
    ['both', ['a', [1]], { model: 'tokens' }, /lists of tokens/],
    ['nothing', [], {}, /a list of strings/],
    ['something else', { text: 'a' }, {}, /a list of strings/],
  ])('are refused for %s', async (_, input, model, message) => {
    const response = await post(input, model);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param: 'input', message: expect.stringMatching(message) } });
    expect(started()).toHaveLength(0);
  });
});
