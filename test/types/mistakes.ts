import { z } from 'zod';
import {
  activityStream,
  agent,
  approve,
  at,
  audio,
  chat,
  classify,
  code,
  codeStream,
  codeTool,
  eq,
  generate,
  image,
  infer,
  lt,
  pipeline,
  retrieve,
  semantic,
  stageTool,
  streamOf,
  synthesize,
  tensor,
  tool,
  transcribe,
} from '../../pipelines/index.js';

/** Each line is a mistake that an author makes; the compiler must refuse it. The function is never called. */
export function mistakes() {
  pipeline('wrong', { input: z.object({ speech: audio(), n: z.number() }) }, ({ input, stage }) => {
    const transcribed = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
    // @ts-expect-error unknown field
    transcribed.txt;
    // @ts-expect-error number is not string
    stage('a', chat({ model: 'x' }), { prompt: input.n });
    // @ts-expect-error missing input
    stage('b', chat({ model: 'x' }), {});
    // @ts-expect-error text is not audio
    stage('c', transcribe({ model: 'x' }), { audio: transcribed.text });
    // @ts-expect-error code runs in a sandbox that has a name
    codeTool({ language: 'python' });
    // @ts-expect-error no such effect
    codeTool({ sandbox: 's', effects: 'some' });
    // @ts-expect-error no such limit
    codeTool({ sandbox: 's', limits: { memory: 1 } });
    // @ts-expect-error nothing generates this
    stage('u', generate({ model: 'x', makes: 'poem' }), { prompt: 'x' });
    // @ts-expect-error an image is no video
    stage('v', generate({ model: 'x', makes: 'image' }), { prompt: 'x' }).video;
    const phone = code(
      'phone',
      { input: z.object({ audio: audio({ rate: 8000 }) }), output: z.object({}) },
      () => ({}),
    );
    const studio = code('studio', { input: z.object({}), output: z.object({ audio: audio({ rate: 24000 }) }) }, () => {
      throw new Error('never called');
    });
    // @ts-expect-error 24 kHz into an 8 kHz input
    stage('d', phone, { audio: stage('e', studio, {}).audio });
    stage('f', phone, { audio: stage('g', synthesize({ model: 'tts' }), { text: transcribed.text }).audio });
    // @ts-expect-error a cache's key is text
    stage('h', chat({ model: 'x' }), { prompt: transcribed.text }, { cache: semantic({ key: input.n }) });
    return { text: transcribed.text };
  });
}

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const inner = pipeline('inner', { input: z.object({ q: z.string(), k: z.number().default(3) }) }, ({ input }) => ({
  q: input.q,
}));

/** Mistakes with what may be absent, and with control flow. */
export function mistakesOfFlow() {
  const input = z.object({ n: z.number(), hint: z.string().optional(), list: z.array(z.string()) });
  pipeline('wrong', { input }, ({ input, stage, when, each, repeat, race, run }) => {
    const ask = chat({ model: 'x' });
    // @ts-expect-error it may be absent
    stage('a', ask, { prompt: input.hint });
    const optional = stage('b', add, { n: 1 }, { optional: true });
    // @ts-expect-error an optional stage's output may be null
    stage('c', add, { n: optional.n });
    const maybe = when('w', eq(input.n, 1), () => ({ n: input.n }));
    // @ts-expect-error a branch without otherwise may be null
    stage('d', add, { n: maybe.n });
    const either = when(
      'w2',
      eq(input.n, 1),
      () => ({ n: input.n }),
      () => ({ m: input.n }),
    );
    // @ts-expect-error only one of the branches has it
    either.m;
    // @ts-expect-error a condition is no text
    when('w3', input.hint, () => 1);
    // @ts-expect-error a number is no list
    each('e', input.n, () => 1);
    // @ts-expect-error an item is text
    each('e2', input.list, (item) => stage('f', add, { n: item }).n);
    const some = each('e4', input.list, () => input.n, { onFailure: 'null' });
    // @ts-expect-error an item that has failed is null in the list
    each('e3', some, (n) => stage('g', add, { n }).n);
    // @ts-expect-error an item by its index may not be there
    stage('h', ask, { prompt: at(input.list, 0) });
    // @ts-expect-error the state's type does not change
    repeat('r', { n: input.n }, () => ({ n: 'text' }), { until: (state) => eq(state.n, 1), atMost: 3 });
    // @ts-expect-error a repeat is bounded
    repeat('r2', { n: input.n }, (state) => ({ n: state.n }), { until: (state) => eq(state.n, 1) });
    const first = race('race', { left: () => input.n, right: () => 'text' });
    // @ts-expect-error the value is a number or text
    stage('i', add, { n: first.value });
    // @ts-expect-error a contender's name is text
    stage('i2', add, { n: first.winner });
    // @ts-expect-error the pipeline's input is missing
    run('s', inner, {});
    // @ts-expect-error the pipeline's input is text
    run('s2', inner, { q: input.n });
    // @ts-expect-error the pipeline's output has no such field
    run('s3', inner, { q: 'x' }).k;
    // @ts-expect-error texts and numbers have no order
    lt(input.n, 'x');
    return {};
  });
}

/** Mistakes with kinds, formats and policies. */
export function mistakesOfKinds() {
  pipeline('wrong', { input: z.object({ q: z.string(), picture: image() }) }, ({ input, stage }) => {
    const ask = chat({ model: 'x' });
    const typed = chat({ model: 'x', output: z.object({ city: z.string() }) });
    // @ts-expect-error the schema of the reply has no such field
    stage('a', typed, { prompt: input.q }).data.town;
    // @ts-expect-error without a schema there is no data
    stage('b', ask, { prompt: input.q }).data.city;
    const found = stage('c', classify({ model: 'x', labels: ['safe', 'unsafe'] }), { text: input.q });
    // @ts-expect-error no label is named so
    found.scores.harmless;
    // @ts-expect-error an image is not audio
    stage('d', transcribe({ model: 'x' }), { audio: input.picture });
    const scorer = infer({
      model: 'x',
      inputs: { X: tensor({ dtype: 'FP32', shape: [1, 4] }) },
      outputs: { Y: tensor({ dtype: 'INT64', shape: [1] }) },
    });
    const scored = stage('e', scorer, { X: { dtype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] } });
    // @ts-expect-error the model has no such output
    scored.Z;
    // @ts-expect-error INT64 is not FP32
    stage('f', scorer, { X: scored.Y });
    // @ts-expect-error a fallback is of the same kind
    stage('g', ask, { prompt: input.q }, { fallback: [transcribe({ model: 'x' })] });
    const other = chat({ model: 'y', output: z.object({ town: z.string() }) });
    // @ts-expect-error a fallback with another schema gives other data
    stage('h', typed, { prompt: input.q }, { fallback: [other] });
    // @ts-expect-error a misspelt option
    stage('i', ask, { prompt: input.q }, { retries: 3 });
    // @ts-expect-error no code of the error table
    stage('j', ask, { prompt: input.q }, { retry: { on: ['TEAPOT'] } });
    // @ts-expect-error no time
    stage('k', ask, { prompt: input.q }, { timeout: { attempt: 'soon' } });
    // @ts-expect-error a hedge is after a time or a percentile
    stage('l', ask, { prompt: input.q }, { hedge: {} });
    const mp3 = code('mp3', { input: z.object({ audio: audio({ encoding: 'mp3' }) }), output: one }, () => ({ n: 1 }));
    // @ts-expect-error WAV into an input of MP3
    stage('m', mp3, { audio: stage('n', synthesize({ model: 'tts' }), { text: input.q }).audio });
    return {};
  });
}

/** Mistakes with agents and tools. */
export function mistakesOfAgents() {
  const of = { description: 'x', input: z.object({ city: z.string() }) };
  // @ts-expect-error the arguments have no such field
  tool({ ...of, name: 'a', run: ({ town }) => town });
  // @ts-expect-error what it gives does not fit its output
  tool({ ...of, name: 'b', output: z.object({ celsius: z.number() }), run: ({ city }) => ({ celsius: city }) });
  // @ts-expect-error a tool says what it does
  tool({ name: 'c', input: of.input, run: () => 1 });
  // @ts-expect-error the output has no such field
  stageTool({ name: 'd', description: 'x', use: classify({ model: 'm', labels: ['a', 'b'] }), result: 'lable' });
  // @ts-expect-error arguments that the stage does not take
  stageTool({ name: 'e', description: 'x', use: chat({ model: 'm' }), input: z.object({ promt: z.string() }) });
  const weather = tool({ ...of, name: 'f', run: () => 1 });
  pipeline('wrong', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    // @ts-expect-error no list of tools
    stage('a', agent({ model: 'm', tools: weather }), { prompt: input.q });
    // @ts-expect-error a misspelt option
    stage('b', agent({ model: 'm', maxturns: 3 }), { prompt: input.q });
    const free = stage('c', agent({ model: 'm', tools: [weather] }), { prompt: input.q });
    // @ts-expect-error without a schema there is no data
    free.data.city;
    // @ts-expect-error a fallback of an agent is an agent
    stage('d', agent({ model: 'm' }), { prompt: input.q }, { fallback: [chat({ model: 'm' })] });
    // @ts-expect-error a tool message says what it answers in a text
    stage('e', agent({ model: 'm' }), { prompt: input.q, history: [{ role: 'tool', content: 'x', toolCallId: 1 }] });
    return {};
  });
}

/** Streams and lists are not the same. */
export function mistakesOfStreams() {
  const item = z.object({ n: z.number() });
  const made = codeStream('made', { input: item, entry: z.number() }, async function* ({ n }) {
    yield n;
  });
  const read = code('read', { input: z.object({ values: streamOf(z.number()) }), output: item }, async ({ values }) => {
    // @ts-expect-error a stream has no length
    values.length;
    let n = 0;
    for await (const value of values) n += value;
    return { n };
  });
  // @ts-expect-error what it yields does not fit the schema of its entries
  codeStream('text', { input: item, entry: z.string() }, async function* ({ n }) {
    yield n;
  });
  const counted = activityStream({ queue: 'python', type: 'count', input: item, entry: z.number() });
  // @ts-expect-error what it returns is the list of its entries
  activityStream({ queue: 'python', type: 'count', input: item, output: item });
  // @ts-expect-error it returns, where it has to yield
  codeStream('once', { input: item, entry: z.number() }, async ({ n }) => n);
  pipeline('wrong', { input: z.object({ n: z.number(), list: z.array(z.number()) }) }, ({ input, stage, each }) => {
    const entries = stage('made', made, { n: input.n });
    stage('read', read, { values: entries.entries });
    const elsewhere = stage('counted', counted, { n: input.n });
    stage('read-counted', read, { values: elsewhere.entries });
    // @ts-expect-error the list, when the Python stage has ended
    stage('read-collected', read, { values: elsewhere.items });
    // @ts-expect-error a Python stage that yields numbers, where texts are needed
    stage('speak', synthesize({ model: 'tts' }), { text: elsewhere.entries });
    // @ts-expect-error the items are the list, when it is whole
    stage('read-items', read, { values: entries.items });
    // @ts-expect-error a list of the input
    stage('read-list', read, { values: input.list });
    // @ts-expect-error a constant
    stage('read-constant', read, { values: [1, 2] });
    // @ts-expect-error a stream of texts
    stage('read-text', read, { values: stage('chat', chat({ model: 'm' }), { prompt: 'x' }).sentences });
    // @ts-expect-error a stream where one value is needed
    stage('again', made, { n: entries.entries });
    const mapped = each(
      'mapped',
      entries.entries,
      (n) => stage('map', read, { values: stage('one', made, { n }).entries }).n,
    );
    stage('read-mapped', read, { values: mapped.entries });
    // @ts-expect-error the values of an each are a list, when they are whole
    stage('read-values', read, { values: mapped });
    // @ts-expect-error the values of an each over a list are no stream
    stage('read-each', read, { values: each('listed', input.list, (n) => n).entries });
    return {};
  });
  const hear = code('hear', { input: z.object({ said: streamOf(z.string()) }), output: item }, async () => ({ n: 1 }));
  pipeline('wrong', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    // @ts-expect-error calls may have followed what an agent has said: it does not start over
    const answer = stage('answer', agent({ model: 'm' }), { prompt: input.q }, { onCut: 'restart' });
    stage('hear', hear, { said: answer.said.sentences });
    stage('speak', synthesize({ model: 'tts' }), { text: answer.said.sentences });
    // @ts-expect-error all that it says, when it has ended
    stage('hear-text', hear, { said: answer.said.text });
    // @ts-expect-error its sentences can be spoken, or its text
    stage('speak-all', synthesize({ model: 'tts' }), { text: answer.said });
    const spoken = stage('speak-text', synthesize({ model: 'tts' }), { text: answer.text });
    // @ts-expect-error pieces of audio, where texts are needed
    stage('hear-pieces', hear, { said: spoken.chunks });
    // @ts-expect-error pieces of audio are not spoken
    stage('speak-pieces', synthesize({ model: 'tts' }), { text: spoken.chunks });
    // @ts-expect-error segments are a stream where times are asked for
    stage('untimed', transcribe({ model: 'm' }), { audio: spoken.audio }).entries;
    // @ts-expect-error a recogniser hears one at a time: in an each
    stage('transcribe', transcribe({ model: 'm' }), { audio: spoken.chunks });
    return {};
  });
}

/** Mistakes that would be ignored, or fail at run time only. */
export function mistakesWithoutEffect() {
  const input = z.object({ q: z.string(), words: z.array(z.string()) });
  const upper = code('upper', { input: z.object({ q: z.string() }), output: z.object({ q: z.string() }) }, (i) => i);
  // @ts-expect-error a definition is not async
  pipeline('wrong', { input }, async ({ input, stage }) => ({ q: (await stage('a', upper, { q: input.q })).q }));
  pipeline('wrong', { input }, ({ input, stage, each, when }) => {
    // @ts-expect-error no server to hedge
    stage('a', upper, { q: input.q }, { hedge: { after: '1s' } });
    // @ts-expect-error no server that streams
    stage('b', upper, { q: input.q }, { timeout: { firstChunk: '1s' } });
    // @ts-expect-error no server to wait for
    stage('c', retrieve({ index: 'i' }), { query: input.q }, { timeout: { queue: '1s' } });
    // @ts-expect-error nothing to retry
    stage('d', approve({ timeout: '1m' }), { subject: input.q }, { retry: { attempts: 2 } });
    // @ts-expect-error an agent has no cache
    stage('e', agent({ model: 'm' }), { prompt: input.q }, { cache: semantic({ key: input.q }) });
    // @ts-expect-error each call of an agent is an activity
    stage('f', agent({ model: 'm' }), { prompt: input.q }, { execution: 'inline' });
    // @ts-expect-error the body is not async
    each('g', input.words, async (q) => stage('h', upper, { q }));
    // @ts-expect-error the branch is not async
    when('i', eq(input.q, 'x'), async () => stage('j', upper, { q: input.q }));
    stage('k', upper, { q: input.q }, { retry: { attempts: 2 }, timeout: { attempt: '1s' }, optional: true });
    stage('l', agent({ model: 'm' }), { prompt: input.q }, { hedge: { after: '1s' } });
    return { q: input.q };
  });
}
