import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { type Producing, produceText } from '../../../../activities/streams/produce.js';
import { produceEntries } from '../../../../activities/streams/produce-entries.js';
import { speakStream } from '../../../../activities/streams/speak.js';
import type { SpokenChunk } from '../../../../activities/streams/spoken-chunk.js';
import { mulberry32 } from '../../../../bench/random.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { type ChannelLog, MemoryChannelLog, readStream } from '../../../../stores/channels/index.js';

/* `onCut: 'restart'`: an answer that breaks off takes the place of the one before, while nothing was made of that. */

const ANSWER = 'One sentence is here. A second one follows. And a third one ends it.';
const ANOTHER = 'Something else is here. It goes on. And on.';
const sentencesOf = (text: string): string[] => text.split(/(?<=\.)(?= )/);

const call = (more: object): StageCall =>
  ({
    ...{ pipeline: 'p', version: 'v', tenant: 't', kind: 'chat', model: 'm', with: {} },
    retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
    ...more,
  }) as StageCall;
const producer = (writes: readonly string[] = ['sentences']) => call({ stage: 'answer', writes, onCut: 'restart' });
const reads = { text: { path: 'answer', of: 'sentences', restarts: true } };
const speaker = call({ stage: 'speak', kind: 'synthesize', entryMs: 60_000, reads });

const attemptOf = (run: string, signal = new AbortController().signal): Attempt =>
  ({ signal, attempt: 1, queueMs: 0, run, resumeFrom: null, checkpoint: () => undefined }) as Attempt;

/** How an attempt of the producer has ended, and what followers have got of it. */
interface Produced {
  readonly text?: string;
  readonly code?: string;
  readonly deltas: readonly string[];
}

/** One run: its channels, a producer, and readers. */
function newRun(channels: ChannelLog = new MemoryChannelLog()) {
  const id = `run-${randomUUID()}`;
  return {
    channels,
    id,
    /** An attempt of the producer. */
    async produce(
      serve: (producing: Producing) => Promise<{ output: JsonObject }>,
      of = producer(),
    ): Promise<Produced> {
      const deltas: string[] = [];
      const { signal } = new AbortController();
      const about = { run: id, call: of, signal, onDelta: (text: string) => void deltas.push(text) };
      const ended = await produceText({ channels }, about, serve).catch((error: unknown) => error as MillraceError);
      if (ended instanceof Error) return { code: (ended as { code?: string }).code ?? ended.message, deltas };
      return { text: String(ended.output.text), deltas };
    },
    /** An attempt of the speaker. */
    async speak(
      serve: (text: string) => Promise<void>,
      signal?: AbortSignal,
      onChunk?: (chunk: SpokenChunk, number: number) => void,
    ) {
      const { output } = await speakStream(
        {
          channels,
          join: async (_, pieces) => ({ ...pieces[0], uri: pieces.map(({ uri }) => uri).join('|') }),
          convert: async (_, piece) => piece,
        },
        { call: speaker, attempt: attemptOf(id, signal), field: 'text' },
        async ({ text }) => {
          await serve(String(text));
          return { output: { audio: { uri: String(text) } }, endpoint: 'e', device: 'd', cache: 'off' as const };
        },
        onChunk,
      );
      return String((output.audio as JsonObject).uri);
    },
    /** All that readers get when the stream has ended, and of which generation. */
    async read(of = 'sentences') {
      const { signal } = new AbortController();
      const got: [generation: number, value: Json][] = [];
      const entries = readStream(channels, { run: id, path: 'answer', of }, { signal, kept: () => false });
      for await (const { generation, value } of entries) got.push([generation, value]);
      return got;
    },
  };
}

const emit = ({ onText }: Pick<Producing, 'onText'>, text: string) => {
  for (let at = 0; at < text.length; at += 5) onText(text.slice(at, at + 5));
};
const says = (text: string) => async (producing: Producing) => {
  emit(producing, text);
  return { output: { text } };
};
/** Commits the first sentences of a text, then breaks off. */
const breaksAfter =
  (channels: ChannelLog, id: string, text: string, sentences = 1) =>
  async (producing: Producing): Promise<never> => {
    emit(producing, text.slice(0, sentencesOf(text).slice(0, sentences).join('').length + 8));
    const name = { run: id, path: 'answer', of: 'sentences' };
    for (let generation = 0; ; generation = generation === 5 ? 0 : generation + 1) {
      const held = await channels.read({ ...name, generation }, 0, 9);
      if (held?.end === undefined && held?.count === sentences) break;
      await turn();
    }
    throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
  };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const deferred = () => {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
};
const whole = (generation: number, text: string) => sentencesOf(text).map((sentence) => [generation, sentence]);

describe('a producer that may start over', () => {
  it('gives readers another answer in place of one that broke off, and followers only that', async () => {
    const { channels, id, produce, read } = newRun();
    const first = await produce(breaksAfter(channels, id, ANSWER, 2));
    expect(first).toEqual({ code: 'BACKEND_UNAVAILABLE', deltas: expect.any(Array) });
    const second = await produce(says(ANOTHER));
    expect(second.text).toBe(ANOTHER);
    expect(second.deltas.join('')).toBe(ANOTHER);
    expect(await read()).toEqual(whole(1, ANOTHER));
  });

  it('gives them the whole answer of a server that changes what it has sent; followers have that from the outcome', async () => {
    const { produce, read } = newRun();
    const { text, deltas } = await produce(async ({ onText }) => {
      onText('One sentence was here. And');
      return { output: { text: ANSWER } };
    });
    expect([text, deltas.join('')]).toEqual([ANSWER, 'One sentence was here. And']);
    expect(await read()).toEqual(whole(1, ANSWER));
  });

  it('does so for one that is shorter, and for one that comes in one piece', async () => {
    for (const serve of [says('One'), async () => ({ output: { text: ANOTHER } })]) {
      const { channels, id, produce, read } = newRun();
      await produce(breaksAfter(channels, id, ANSWER));
      const { text = '', deltas } = await produce(serve);
      expect(deltas.join('')).toBe(text);
      expect((await read()).map(([, value]) => value).join('')).toBe(text);
    }
  });

  it('does not for the same answer, nor for one that continues it', async () => {
    for (const continued of [false, true]) {
      const { channels, id, produce, read } = newRun();
      await produce(breaksAfter(channels, id, ANSWER));
      const second = await produce(async ({ continues, committed, onText }) => {
        if (continued) continues();
        const text = continued ? ANSWER.slice(committed.length) : ANSWER;
        emit({ onText }, text);
        return { output: { text } };
      });
      expect([second.text, second.deltas.join('')]).toEqual([ANSWER, ANSWER]);
      expect(await read()).toEqual(whole(0, ANSWER));
    }
  });

  it('starts over again when the next answer breaks off as well', async () => {
    const { channels, id, produce, read } = newRun();
    await produce(breaksAfter(channels, id, ANSWER));
    await produce(breaksAfter(channels, id, ANOTHER));
    const third = await produce(says('A third answer. It is whole.'));
    expect([third.text, third.deltas.join('')]).toEqual(Array(2).fill('A third answer. It is whole.'));
    expect(await read()).toEqual(whole(2, 'A third answer. It is whole.'));
  });

  it('starts over tokens and sentences together', async () => {
    const { channels, id, produce, read } = newRun();
    const both = producer(['sentences', 'tokens']);
    await produce(breaksAfter(channels, id, ANSWER), both);
    expect((await produce(says(ANOTHER), both)).text).toBe(ANOTHER);
    expect(await read()).toEqual(whole(1, ANOTHER));
    const tokens = await read('tokens');
    expect(tokens.map(([, value]) => value).join('')).toBe(ANOTHER);
  });

  it('takes what the server sends while the store is asked', async () => {
    const asked = deferred();
    const answered = deferred();
    class SlowLog extends MemoryChannelLog {
      override async startOver(...given: Parameters<MemoryChannelLog['startOver']>) {
        asked.resolve();
        await answered.promise;
        return await super.startOver(...given);
      }
    }
    const { channels, id, produce, read } = newRun(new SlowLog());
    await produce(breaksAfter(channels, id, ANSWER));
    const { text } = await produce(async (producing) => {
      producing.onText(ANOTHER.slice(0, 10));
      await asked.promise;
      emit(producing, ANOTHER.slice(10, 30));
      answered.resolve();
      await turn();
      emit(producing, ANOTHER.slice(30));
      return { output: { text: ANOTHER } };
    });
    expect(text).toBe(ANOTHER);
    expect(await read()).toEqual(whole(1, ANOTHER));
  });

  it('is cut as soon as a sentence is spoken', async () => {
    const { channels, id, produce, speak } = newRun();
    const spoken = deferred();
    const cancelled = new AbortController();
    const speaking = speak(
      async () => undefined,
      cancelled.signal,
      () => spoken.resolve(),
    );
    await produce(breaksAfter(channels, id, ANSWER));
    await spoken.promise;
    expect((await produce(says(ANOTHER))).code).toBe('STREAM_CUT');
    cancelled.abort(new Error('cancelled'));
    await expect(speaking).rejects.toThrow('cancelled');
  });
});

describe('a reader of a producer that may start over', () => {
  it('drops the sentence that it is speaking', async () => {
    const { channels, id, produce, speak } = newRun();
    const begun = deferred();
    const goOn = deferred();
    const said: string[] = [];
    const chunks: SpokenChunk[] = [];
    const speaking = speak(
      async (text) => {
        said.push(text);
        begun.resolve();
        await goOn.promise;
      },
      undefined,
      (chunk) => chunks.push(chunk),
    );
    await produce(breaksAfter(channels, id, ANSWER, 2));
    await begun.promise;
    expect((await produce(says(ANOTHER))).text).toBe(ANOTHER);
    goOn.resolve();
    const sentences = sentencesOf(ANOTHER).map((sentence) => sentence.trim());
    expect(await speaking).toBe(sentences.join('|'));
    expect(said).toEqual([sentencesOf(ANSWER)[0], ...sentences]);
    for (const { at, text } of chunks) expect(ANOTHER.slice(at, at + text.length)).toBe(text);
    // Another attempt finds where it was.
    expect(chunks.at(-1)?.next).toMatchObject({ number: sentences.length, generation: 1 });
  });

  it('goes on in another attempt where it was, in the text that took the place of the other', async () => {
    const { channels, id, produce, speak } = newRun();
    await produce(breaksAfter(channels, id, ANSWER));
    await produce(says(ANOTHER));
    const dying = new AbortController();
    const said: string[] = [];
    const first = speak(async (text) => {
      if (said.length === 1) dying.abort(new Error('the worker died'));
      dying.signal.throwIfAborted();
      said.push(text);
    }, dying.signal);
    await expect(first).rejects.toThrow('the worker died');
    await speak(async (text) => void said.push(text));
    expect(said).toEqual(sentencesOf(ANOTHER).map((sentence) => sentence.trim()));
  });

  it('is a function: what it has got cannot be taken back, what it has not got can', async () => {
    for (const early of [true, false]) {
      const { channels, id, produce } = newRun();
      const got: string[] = [];
      const first = deferred();
      const goOn = deferred();
      const stage = call({ ...speaker, stage: 'count', kind: 'code', with: { takes: ['text'] } });
      const reading = produceEntries({ channels }, { call: stage, attempt: attemptOf(id) }, async ({ streams }) => {
        if (!early) await goOn.promise;
        for await (const value of streams?.source('text', undefined, async (each) => each) ?? []) {
          got.push(String(value));
          first.resolve();
        }
        return { output: { n: got.length } };
      });
      await produce(breaksAfter(channels, id, ANSWER));
      if (early) await first.promise;
      const second = await produce(says(ANOTHER));
      goOn.resolve();
      if (early) {
        expect(second.code).toBe('STREAM_CUT');
        await produce(says(ANSWER));
      } else expect(second.text).toBe(ANOTHER);
      await reading;
      expect(got).toEqual(sentencesOf(early ? ANSWER : ANOTHER).map((sentence) => sentence.trim()));
    }
  });
});

describe('whatever happens at the same time', () => {
  /** A log whose calls take some turns of the event loop before they have an effect, and after. */
  function slowed(log: ChannelLog, turns: () => Promise<void>): ChannelLog {
    const slow = new Set<string | symbol>(['open', 'append', 'restore', 'startOver', 'keep', 'read']);
    return new Proxy(log, {
      get(of, name) {
        const method = Reflect.get(of, name, of) as (...given: unknown[]) => Promise<unknown>;
        if (!slow.has(name)) return method.bind(of);
        return async (...given: unknown[]) => {
          await turns();
          const result = await method.apply(of, given);
          await turns();
          return result;
        };
      },
    });
  }

  /** What comes of one run in which answers break off and workers of the voice die. */
  async function play(seed: number): Promise<'restarted' | 'cut' | 'whole'> {
    const random = mulberry32(seed);
    const below = (n: number) => Math.floor(random() * n);
    const most = [2, 12, 40][below(3)] ?? 2;
    const turns = async () => {
      for (let i = below(most); i > 0; i--) await turn();
    };
    const log = new MemoryChannelLog();
    const { id, produce, speak } = newRun(slowed(log, turns));
    const heard = new Map<number, SpokenChunk>();
    const over = new AbortController();
    const speaking = (async () => {
      for (;;) {
        const dying = new AbortController();
        over.signal.addEventListener('abort', () => dying.abort(new Error('over')));
        try {
          return await speak(
            async () => {
              await turns();
              if (below(6) === 0) dying.abort(new Error('the worker died'));
              dying.signal.throwIfAborted();
            },
            dying.signal,
            (chunk, number) => {
              // A piece that comes again is the same.
              if (heard.has(number)) expect(chunk).toEqual(heard.get(number));
              heard.set(number, chunk);
            },
          );
        } catch (error) {
          if (over.signal.aborted) return undefined;
          if (!dying.signal.aborted) throw error;
        }
      }
    })();
    const answers = [
      ANSWER,
      ANOTHER,
      'One sentence is here. But then it is another one. So it ends.',
      'It is a fourth.',
    ];
    speaking.catch(() => undefined);
    let last: Produced | undefined;
    for (let attempts = 0; attempts < 4 && last?.text === undefined && last?.code !== 'STREAM_CUT'; attempts++) {
      const answer = answers[below(answers.length)] ?? ANSWER;
      const broken = attempts < 3 && below(4) > 0 ? below(answer.length) : answer.length;
      last = await produce(async ({ onText }) => {
        for (let at = 0; at < broken; at += 6) {
          onText(answer.slice(at, Math.min(at + 6, broken)));
          if (below(3) === 0) await turns();
        }
        await turns();
        if (broken < answer.length) throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
        return { output: { text: answer } };
      });
    }
    if (last?.text === undefined) {
      expect(last?.code).toBe('STREAM_CUT');
      over.abort();
      await speaking;
      // What is heard is of the text that stands.
      const [generation = 0, ...others] = new Set([...heard.values()].map(({ next }) => next.generation ?? 0));
      expect(others).toEqual([]);
      const held = await log.read({ run: id, path: 'answer', of: 'sentences', generation }, 0, 99);
      const committed = held?.entries.map((entry) => JSON.parse(entry.text) as string).join('') ?? '';
      expect(committed.startsWith([...heard.values()].map((chunk) => chunk.text).join(''))).toBe(true);
      return 'cut';
    }
    const { text } = last;
    expect(last.deltas.join('')).toBe(text);
    const spoken = await speaking;
    const pieces = [...heard.values()].map((chunk) => chunk.text);
    expect(pieces.join('')).toBe(text);
    expect(spoken).toBe(pieces.map((piece) => piece.trim()).join('|'));
    for (const { at, text: own } of heard.values()) expect(text.slice(at, at + own.length)).toBe(own);
    return [...heard.values()].some(({ next }) => (next.generation ?? 0) > 0) ? 'restarted' : 'whole';
  }

  it('a run says what it is heard to say, or is cut: 400 interleavings', async () => {
    const ends = { restarted: 0, cut: 0, whole: 0 };
    for (let seed = 1; seed <= 400; seed++) {
      try {
        ends[await play(seed)] += 1;
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    for (const count of Object.values(ends)) expect(count).toBeGreaterThan(10);
  });
});
