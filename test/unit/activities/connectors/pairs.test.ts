import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Call, CallContext } from '../../../../activities/connectors/connector.js';
import { noAudio } from '../../../../activities/connectors/contract/index.js';
import { httpConnector } from '../../../../activities/connectors/http/index.js';
import { optionsOf } from '../../../../activities/connectors/pool-options.js';
import { plainRequests, type TensorClient, TensorModels } from '../../../../activities/connectors/tensors/index.js';
import { tensorMap } from '../../../../activities/connectors/tensors/map-schema.js';
import { JOINS } from '../../../../activities/pools/micro-batch/joins.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { classifyKind } from '../../../../pipelines/stages/classify.js';
import { readTexts, type Tensor } from '../../../../protocols/open-inference/tensors.js';
import { loopbackServer } from './loopback-server.js';
import { chunk, SimulatedServer } from './openai-server.js';

/* Two texts of a classifier, and several pairs in one call. */

const PAIRS = [
  { text: 'a', textPair: 'b' },
  { text: 'b', textPair: 'a' },
];
const QUERIES = [
  { query: 'a', text: 'b' },
  { query: 'b', text: 'a' },
];
const ENTAILMENT = { labels: ['entailment'] };
const context: CallContext = {
  signal: new AbortController().signal,
  audio: noAudio,
  emit: () => undefined,
  checkpoint: () => undefined,
};

describe('the input of a classifier', () => {
  it.each<[object, boolean]>([
    [{ text: 'a' }, true],
    [{ text: 'a', textPair: 'b' }, true],
    [{ textPair: 'b' }, false],
    [{}, false],
  ])('%j is one: %s', (input, fits) => {
    expect(classifyKind.input.safeParse(input).success).toBe(fits);
  });
});

it('a call of pairs is a batch already: it goes out together with no other', () => {
  expect(JOINS.classify?.texts({ pairs: PAIRS })).toBeUndefined();
  expect(JOINS.classify?.texts(PAIRS[0] as JsonObject)).toBeUndefined();
  expect(JOINS.rerank?.texts({ pairs: QUERIES })).toBeUndefined();
});

describe('a model by its tensors', () => {
  const floats = (name: string, shape: number[], data: number[]): Tensor => ({
    name,
    datatype: 'FP32',
    shape,
    raw: Buffer.from(Float32Array.from(data).buffer),
  });
  const MNLI = { to: 'scores', activation: 'softmax', labels: ['contradiction', 'neutral', 'entailment'] };

  /** Runs a call against a model that is a function of the texts of its rows, whose inputs are columns unless said otherwise. */
  async function run(
    call: Omit<Call, 'model'>,
    outputs: JsonObject,
    model: (rows: readonly (readonly string[])[]) => Tensor,
    shape = [-1, 1],
    inputs: Record<string, JsonObject> = {},
  ) {
    const [first, second] = call.kind === 'classify' ? ['text', 'textPair'] : ['query', 'passages'];
    const map = { inputs: { premise: { from: first }, hypothesis: { from: second }, ...inputs }, outputs };
    const sent: string[][][] = [];
    const client: TensorClient = {
      async *responses(_, tensors) {
        const [one = [], other = []] = ['premise', 'hypothesis'].map((name) =>
          readTexts(tensors.find((tensor) => tensor.name === name) as Tensor),
        );
        const rows = one.map((text, i) => [text, other[i] ?? '']);
        sent.push(rows);
        const answer = model(rows);
        yield new Map([[answer.name, answer]]);
      },
      tensors: async () => ({
        inputs: [
          { name: 'premise', datatype: 'BYTES', shape },
          { name: 'hypothesis', datatype: 'BYTES', shape },
          ...Object.keys(inputs).map((name) => ({ name, datatype: 'INT32', shape: [-1, 1] })),
        ],
        outputs: [],
      }),
    };
    const models = new TensorModels(client, tensorMap(call.kind).parse(map));
    const { output } = await models.invoke({ ...call, model: 'm' }, context, plainRequests());
    return { output, sent };
  }

  /** The same logits in each row but the last one's entailment. */
  const logits = (rows: number) =>
    floats('logits', [rows, 3], Array.from({ length: rows }, (_, i) => [0, 0, i === 0 ? 5 : 1]).flat());
  const scoresOf = (output: JsonObject) =>
    (output.results as { scores: { entailment: number } }[]).map(({ scores }) => scores.entailment.toFixed(3));

  it('classifies two texts, by a label of many', async () => {
    const call = { kind: 'classify', with: ENTAILMENT, input: { text: 'a', textPair: 'b' } };
    const { output, sent } = await run(call, { logits: MNLI }, () => logits(1));
    expect(sent).toEqual([[['a', 'b']]]);
    expect((output.scores as { entailment: number }).entailment).toBeCloseTo(0.987, 3);
  });

  it('gets the pairs of a call as the rows of one request, each with its own softmax', async () => {
    const call = { kind: 'classify', with: ENTAILMENT, input: { pairs: PAIRS } };
    const { output, sent } = await run(call, { logits: MNLI }, (rows) => logits(rows.length));
    expect(sent).toEqual([
      [
        ['a', 'b'],
        ['b', 'a'],
      ],
    ]);
    expect(scoresOf(output)).toEqual(['0.987', '0.576']);
  });

  it('has labels in the order that its pool says', async () => {
    const call = { kind: 'classify', with: ENTAILMENT, input: { pairs: PAIRS } };
    const labels = ['entailment', 'neutral', 'contradiction'];
    const { output } = await run(call, { logits: { ...MNLI, labels } }, (rows) => logits(rows.length));
    expect(scoresOf(output)).toEqual(['0.007', '0.212']);
    const unnamed = run(call, { logits: { to: 'scores' } }, (rows) => logits(rows.length));
    await expect(unnamed).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    const other = run(call, { logits: { ...MNLI, labels: ['no', 'maybe', 'yes'] } }, (rows) => logits(rows.length));
    await expect(other).rejects.toThrow(/no label "entailment" \(it has: no, maybe, yes\)/);
  });

  it.each<[string, number[], Record<string, JsonObject>]>([
    ['has room for one pair', [1, 1], {}],
    ['has other inputs', [-1, 1], { beams: { value: 1 } }],
  ])('that %s gets a request for each', async (_, shape, inputs) => {
    const call = { kind: 'classify', with: ENTAILMENT, input: { pairs: PAIRS } };
    const { output, sent } = await run(call, { logits: MNLI }, () => logits(1), shape, inputs);
    expect(sent).toEqual([[['a', 'b']], [['b', 'a']]]);
    expect(scoresOf(output)).toEqual(['0.987', '0.987']);
  });

  it('with an answer for another number of pairs is INVALID_OUTPUT', async () => {
    const call = { kind: 'classify', with: ENTAILMENT, input: { pairs: PAIRS } };
    await expect(run(call, { logits: MNLI }, () => logits(1))).rejects.toThrow(
      /3 scores for 3 labels .* each of 2 pairs/,
    );
    await expect(
      run(call, { logits: MNLI }, () => floats('logits', [2, 3], [0, 0, Number.NaN, 0, 0, 0])),
    ).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('that reads one text only refuses two', async () => {
    const models = new TensorModels(
      {
        responses: () => Promise.reject(new Error('sent')) as never,
        tensors: async () => ({ inputs: [], outputs: [] }),
      },
      undefined,
    );
    const call = { kind: 'classify', model: 'm', with: ENTAILMENT };
    for (const input of [{ text: 'a', textPair: 'b' }, { pairs: PAIRS }])
      await expect(models.invoke({ ...call, input }, context, plainRequests())).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
      });
  });

  it('that reranks gets a query for each row', async () => {
    const call = { kind: 'rerank', with: {}, input: { pairs: QUERIES } };
    const scores = { to: 'scores', activation: 'sigmoid' };
    const { output, sent } = await run(call, { scores }, () => floats('scores', [2, 1], [0, 2]));
    expect(sent).toEqual([
      [
        ['a', 'b'],
        ['b', 'a'],
      ],
    ]);
    expect((output.scores as number[]).map((score) => score.toFixed(3))).toEqual(['0.500', '0.881']);
    const single = await run(call, { scores }, () => floats('scores', [1, 1], [2]), [1, 1]);
    expect(single.sent).toEqual([[['a', 'b']], [['b', 'a']]]);
    expect((single.output.scores as number[]).map((score) => score.toFixed(3))).toEqual(['0.881', '0.881']);
  });
});

describe('a server by its description', () => {
  const server = loopbackServer();
  const http = httpConnector();
  const invoke = (kind: string, options: JsonObject, input: JsonObject, given: JsonObject = ENTAILMENT) =>
    http
      .connect(server.url, undefined, optionsOf(http, { kind, options }, 'options'))
      .invoke({ kind, model: 'm', with: given, input }, { ...context, signal: AbortSignal.timeout(110_000) });
  const byText = (a: unknown, b: unknown) => JSON.stringify(a).localeCompare(JSON.stringify(b));
  /** In any order: requests at the same time may overtake each other. */
  const bodies = () => server.received.map(({ body }) => JSON.parse(body)).toSorted(byText);
  const json = { 'content-type': 'application/json' };
  /** As Hugging Face's text-embeddings-inference takes and gives them at `/predict`. */
  const lists = {
    request: { path: '/predict', json: { inputs: { $each: '/pairs', as: ['$/item/text', '$/item/textPair'] } } },
    response: { output: { results: '$/body' } },
  };

  it('gets the pairs of a call as a list, and gives labels with their names', async () => {
    const row = (score: number) => [
      { label: 'neutral', score: 1 - score },
      { label: 'entailment', score },
    ];
    server.gives(200, JSON.stringify([row(0.9), row(0.2)]), json);
    const { output } = await invoke('classify', lists, { pairs: PAIRS });
    expect(bodies()).toEqual([
      {
        inputs: [
          ['a', 'b'],
          ['b', 'a'],
        ],
      },
    ]);
    expect(output.results).toMatchObject([{ scores: { entailment: 0.9 } }, { scores: { entailment: 0.2 } }]);
    server.gives(200, JSON.stringify([row(0.9)]), json);
    expect((await invoke('classify', lists, PAIRS[0] as JsonObject)).output).toMatchObject({ score: 0.9 });
    await expect(invoke('classify', lists, { pairs: PAIRS })).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('gets a request for each pair where it takes one', async () => {
    server.gives(200, '{"entailment":0.7,"neutral":0.3}', json);
    const options = {
      request: { path: '/x', json: { premise: '$/input/text', hypothesis: '$/input/textPair' } },
      response: { output: { scores: '$/body' } },
    };
    const { output } = await invoke('classify', options, { pairs: PAIRS });
    expect(bodies()).toEqual([
      { premise: 'a', hypothesis: 'b' },
      { premise: 'b', hypothesis: 'a' },
    ]);
    expect(output.results).toMatchObject([{ score: 0.7 }, { score: 0.7 }]);
  });

  it('makes scores of logits among all labels, not among those that are asked for', async () => {
    server.gives(200, '{"entailment":0,"neutral":0,"contradiction":0}', json);
    const options = {
      request: { path: '/x', json: '$/pairs' },
      response: { output: { scores: '$/body' }, activation: 'softmax' },
    };
    const { output } = await invoke('classify', options, PAIRS[0] as JsonObject);
    expect((output.scores as { entailment: number }).entailment).toBeCloseTo(1 / 3, 6);
  });

  it('whose request would leave the second text out is not asked', async () => {
    const options = { request: { path: '/x', json: '$/input/text' }, response: { output: { scores: '$/body' } } };
    for (const input of [PAIRS[0] as JsonObject, { pairs: PAIRS }])
      await expect(invoke('classify', options, input)).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
    expect(server.received).toEqual([]);
  });

  it('has a canary of two texts where its request needs them', async () => {
    server.gives(200, '{}', json);
    const probe = (request: JsonObject) =>
      http
        .connect(server.url, undefined, optionsOf(http, { kind: 'classify', options: { request } }, 'options'))
        .probe('m', 'classify', AbortSignal.timeout(110_000));
    await probe({ path: '/x', json: '$/pairs' });
    await probe({ path: '/x', json: '$/input' });
    const sent = server.received.map(({ body }) => JSON.parse(body));
    expect(sent).toEqual([[{ text: 'ok', textPair: 'ok' }], { text: 'ok' }]);
  });

  it('reranks pairs in one request, or in one each', async () => {
    server.gives(200, '{"scores":[0.4,0.6]}', json);
    const several = { request: { path: '/x', json: '$/pairs' }, response: { output: { scores: '$/body/scores' } } };
    expect((await invoke('rerank', several, { pairs: QUERIES }, {})).output).toEqual({ scores: [0.4, 0.6] });
    expect(bodies()).toEqual([QUERIES]);
    server.gives(200, '{"results":[{"index":0,"score":0.4}]}', json);
    const one = {
      request: { path: '/x', json: { query: '$/input/query', texts: '$/texts' } },
      response: { output: { results: '$/body/results' } },
    };
    server.received = [];
    expect((await invoke('rerank', one, { pairs: QUERIES }, {})).output).toEqual({ scores: [0.4, 0.4] });
    expect(bodies()).toEqual([
      { query: 'a', texts: ['b'] },
      { query: 'b', texts: ['a'] },
    ]);
  });
});

describe('a server of OpenAI’s API', () => {
  let server: SimulatedServer;
  beforeEach(async () => {
    server = await SimulatedServer.start();
  });
  afterEach(() => server.stop());
  const invoke = (call: Omit<Call, 'model'>, options?: JsonObject) =>
    server.connect(options).invoke({ ...call, model: 'm' }, { ...context, signal: AbortSignal.timeout(110_000) });
  const bodies = () => server.received.filter(({ url }) => url !== '/v1/models').map(({ body }) => body);
  const call = { kind: 'rerank', with: {}, input: { pairs: QUERIES } };

  it('scores pairs in one request by the score route (by vLLM’s documentation)', async () => {
    const data = [
      { index: 1, object: 'score', score: 0.2 },
      { index: 0, object: 'score', score: 0.9 },
    ];
    server.json(200, { data, usage: { prompt_tokens: 8 } });
    expect(await invoke(call, { rerankBy: 'score' })).toEqual({
      output: { scores: [0.9, 0.2] },
      usage: { inputTokens: 8 },
    });
    expect(bodies()).toEqual([{ model: 'm', text_1: ['a', 'b'], text_2: ['b', 'a'] }]);
    server.json(200, { data: data.slice(1) });
    await expect(invoke(call, { rerankBy: 'score' })).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('reranks each pair by itself', async () => {
    server.json(200, { results: [{ index: 0, relevance_score: 0.3 }], usage: { total_tokens: 4 } });
    expect(await invoke(call)).toEqual({ output: { scores: [0.3, 0.3] }, usage: { inputTokens: 8 } });
    expect(bodies()).toHaveLength(2);
  });

  it('has no classifier of two texts: an LLM has no score, and does what a text says', async () => {
    server.events([chunk({ content: '{"label":"entailment"}' }), chunk({}, 'stop')]);
    for (const input of [PAIRS[0] as JsonObject, { pairs: PAIRS }])
      await expect(invoke({ kind: 'classify', with: ENTAILMENT, input })).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
      });
    expect(bodies()).toEqual([]);
  });
});
