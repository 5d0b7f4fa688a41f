import { z } from 'zod';
import {
  type AgentToolCall,
  type Audio,
  agent,
  at,
  audio,
  chat,
  classify,
  code,
  either,
  embed,
  embedAll,
  eq,
  http,
  infer,
  join,
  type Pipeline,
  pipeline,
  present,
  type Ref,
  rerank,
  retrieve,
  type SpeechPiece,
  type Stream,
  size,
  split,
  stageTool,
  streamOf,
  synthesize,
  type Tensor,
  type TranscriptSegment,
  tensor,
  text,
  tool,
  transcribe,
} from '../../pipelines/index.js';

/** What types flow from stages through references to a pipeline's output. Compiled and never run. */

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Refuses to compile unless the reference is to exactly this type. */
type ValueOf<R> = R extends Ref<infer T> ? T : never;
const is =
  <T>() =>
  <R>(_: R & (Same<ValueOf<R>, T> extends true ? unknown : never)): void =>
    undefined;
type OutputOf<P> = P extends Pipeline<never, infer O> ? O : P extends Pipeline<infer _, infer O> ? O : never;
type InputOf<P> = P extends Pipeline<infer I, infer _> ? I : never;
const same = <A, B>(_: Same<A, B>): void => undefined;

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));

const whole = pipeline(
  'whole',
  {
    input: z.object({
      n: z.number(),
      by: z.string().default('x'),
      hint: z.string().optional(),
      list: z.array(z.string()),
      speech: audio(),
    }),
  },
  ({ input, stage, when, each, repeat, race, run }) => {
    is<number>()(input.n);
    // @ts-expect-error the comparison can fail
    is<string>()(input.n);
    // @ts-expect-error and knows what may be absent
    is<string>()(input.hint);
    is<string>()(input.by);
    is<string | undefined>()(input.hint);

    const a = stage('a', add, { n: input.n });
    is<number>()(a.n);
    const optional = stage('b', add, { n: a.n }, { optional: true });
    is<{ n: number } | null>()(optional);
    is<number | null>()(optional.n);
    is<number>()(either(optional.n, 0));
    is<string>()(present(input.hint));
    is<number | string>()(either(optional.n, 'none'));

    is<number | string>()(
      when(
        'w1',
        eq(a.n, 1),
        () => a.n,
        () => text`${a.n}`,
      ),
    );
    is<{ x: number } | null>()(when('w2', eq(a.n, 1), () => ({ x: a.n })));
    is<number>()(
      when(
        'w3',
        eq(a.n, 1),
        () => a.n,
        () => 2,
      ),
    );

    is<{ word: string; i: number }[]>()(each('e1', input.list, (word, i) => ({ word, i })));
    is<(number | null)[]>()(each('e2', input.list, () => a.n, { onFailure: 'null' }));
    is<number[]>()(each('e3', input.list, () => a.n, { onFailure: 'drop' }));
    is<string | null>()(at(input.list, 0));
    is<string>()(join(input.list, ','));
    is<number>()(size(input.list));

    const end = repeat(
      'r',
      { n: input.n, log: '' },
      (state, round) => ({ n: state.n, log: text`${state.log}${round}` }),
      {
        until: (state) => eq(state.n, 1),
        atMost: 3,
      },
    );
    is<number>()(end.n);
    is<string>()(end.log);

    const first = race('first', { left: () => a.n, right: () => input.by });
    is<'left' | 'right'>()(first.winner);
    is<number | string>()(first.value);

    const sub = run('sub', inner, { q: input.by });
    is<string>()(sub.q);
    is<number>()(sub.k);
    return { n: a.n, maybe: optional.n, words: input.list, inner: { winner: first.winner } };
  },
);

const inner = pipeline('inner', { input: z.object({ q: z.string(), k: z.number().default(3) }) }, ({ input }) => ({
  q: input.q,
  k: input.k,
}));

export function kinds() {
  const of = z.object({ q: z.string(), speech: audio(), words: z.array(z.string()) });
  pipeline('kinds', { input: of }, ({ input, stage, each }) => {
    const found = stage('classify', classify({ model: 'm', labels: ['safe', 'unsafe'] }), { text: input.q });
    is<'safe' | 'unsafe'>()(found.label);
    is<number>()(found.scores.unsafe);

    is<number[]>()(stage('embed', embed({ model: 'm' }), { text: input.q }).embedding);
    is<number[]>()(stage('embed-sound', embed({ model: 'm' }), { audio: input.speech }).embedding);
    const mixed = [{ text: input.q }, { audio: input.speech }];
    is<number[][]>()(stage('embed-all', embedAll({ model: 'm' }), { items: mixed }).embeddings);
    const listed = each('items', input.words, (word) => ({ text: word }));
    is<number[][]>()(stage('embed-each', embedAll({ model: 'm' }), { items: listed }).embeddings);
    is<number[][]>()(stage('embed-texts', embedAll({ model: 'm' }), { texts: input.words }).embeddings);

    const typed = chat({ model: 'm', output: z.object({ city: z.string(), tags: z.array(z.enum(['a', 'b'])) }) });
    const answer = stage('chat', typed, { prompt: input.q });
    is<string>()(answer.data.city);
    is<('a' | 'b')[]>()(answer.data.tags);
    is<Stream<string>>()(answer.sentences);
    is<'stop' | 'length' | 'tools'>()(answer.finish);
    stage('say', synthesize({ model: 'tts' }), { text: answer.sentences });
    const said = stage('say-it', synthesize({ model: 'tts' }), { text: answer.text });
    is<Audio<{ channels: 1; encoding: 'wav' }>>()(said.audio);
    stage('hear', transcribe({ model: 'm' }), { audio: said.audio });
    is<Stream<SpeechPiece>>()(said.chunks);
    const timed = stage('hear-times', transcribe({ model: 'm', segments: 'words' }), { audio: said.audio });
    is<Stream<TranscriptSegment>>()(timed.entries);
    const heard = each('each-piece', said.chunks, ({ audio: piece, number, text: sentence }) => {
      is<number>()(number);
      is<string>()(sentence);
      return stage('hear-piece', transcribe({ model: 'm' }), { audio: piece }).text;
    });
    is<Stream<string>>()(heard.entries);
    const pieces = z.object({ pieces: streamOf(z.object({ audio: audio(), text: z.string() })) });
    const count = code('count', { input: pieces, output: z.object({ n: z.number() }) }, async ({ pieces }) => {
      let n = 0;
      for await (const { audio: piece } of pieces) n += piece.bytes;
      return { n };
    });
    is<number>()(stage('count', count, { pieces: said.chunks }).n);

    const scored = stage(
      'infer',
      infer({
        model: 'm',
        inputs: { X: tensor({ dtype: 'FP32', shape: [1, 4] }) },
        outputs: { Y: tensor({ dtype: 'INT64', shape: [1] }) },
      }),
      { X: { dtype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] } },
    );
    is<Tensor<'INT64', readonly [1]>>()(scored.Y);

    const called = stage('http', http({ service: 's', path: '/x', output: z.object({ ok: z.boolean() }) }), {});
    is<boolean>()(called.body.ok);

    const near = stage('near', retrieve({ index: 'i' }), { query: input.q });
    const best = stage('best', rerank({ model: 'm' }), { query: input.q, passages: near.passages });
    is<string | null>()(at(best.passages, 0).text);
    const { parts } = stage('split', split(), { audio: input.speech });
    is<Audio<{ encoding: 'wav'; channels: 1 }> | null>()(at(parts, 0).audio);
    return {};
  });
}

same<OutputOf<typeof whole>, { n: number; maybe: number | null; words: string[]; inner: { winner: 'left' | 'right' } }>(
  true,
);
// What a caller sends: defaults may be left out, and media is the door's business.
same<
  InputOf<typeof whole>,
  { n: number; by?: string | undefined; hint?: string | undefined; list: string[]; speech: Audio }
>(true);

/** What an agent and its tools are to the compiler. */
export function agents() {
  const weather = tool({
    name: 'get_weather',
    description: 'The weather',
    input: z.object({ city: z.string(), days: z.int().default(1) }),
    output: z.object({ celsius: z.number() }),
    run: ({ city, days }, { idempotencyKey, tenant }) => {
      same<typeof city, string>(true);
      same<typeof days, number>(true);
      same<typeof idempotencyKey | typeof tenant, string>(true);
      return { celsius: days };
    },
  });
  const search = stageTool({ name: 's', description: 'x', use: retrieve({ index: 'i' }), result: 'passages' });
  pipeline('agents', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    const tools = [weather, search];
    const free = stage('free', agent({ model: 'm', tools }), { prompt: input.q });
    is<string>()(free.text);
    is<Stream<string>>()(free.sentences);
    is<string>()(free.said.text);
    is<Stream<string>>()(free.said.sentences);
    is<Stream<string>>()(free.said.tokens);
    is<number>()(free.turns);
    is<'answer' | 'turns' | 'tokens' | 'time' | 'cost' | 'wrong-calls'>()(free.stoppedBy);
    is<AgentToolCall[]>()(free.toolCalls);
    const bound = stage('bound', agent({ model: 'm', tools, output: z.object({ city: z.string() }) }), {
      prompt: input.q,
      history: [{ role: 'assistant', content: '', toolCalls: [{ id: '1', name: 's', arguments: {} }] }],
    });
    is<string>()(bound.data.city);
    const said = stage('say', synthesize({ model: 'tts' }), { text: free.sentences });
    is<Audio<{ encoding: 'wav'; channels: 1 }>>()(said.audio);
    return {};
  });
}
