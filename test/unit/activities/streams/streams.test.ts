import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { type Producing, produceText } from '../../../../activities/streams/produce.js';
import { type SpokenChunk, speakStream, speakWhole } from '../../../../activities/streams/speak.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { type ChannelEnd, ChannelWriter, MemoryChannelLog, readChannel } from '../../../../stores/channels/index.js';

const ANSWER = 'One sentence is here. A second one follows. And a third one ends it.';
const PIECES = ['One sentence is here.', ' A second one follows.', ' And a third one ends it.'];

const retry = { attempts: 3, initialMs: 1, factor: 1, maxMs: 1 };
const producer = (more: Partial<StageCall> = {}): StageCall =>
  ({
    pipeline: 'p',
    version: 'v',
    tenant: 't',
    stage: 'answer',
    kind: 'chat',
    model: 'm',
    with: {},
    retry,
    writes: ['sentences'],
    ...more,
  }) as StageCall;
const speaker: StageCall = {
  ...producer(),
  stage: 'speak',
  kind: 'synthesize',
  writes: undefined,
  entryMs: 5_000,
  reads: { text: { path: 'answer', of: 'sentences' } },
} as unknown as StageCall;

const signal = () => new AbortController().signal;

/** One run: its channels, a producer and a consumer. */
function run() {
  const channels = new MemoryChannelLog();
  const id = `run-${randomUUID()}`;
  const deltas: string[] = [];
  return {
    channels,
    id,
    deltas,
    produce: (serve: (producing: Producing) => Promise<{ output: JsonObject }>, call = producer(), own = signal()) =>
      produceText({ channels }, { run: id, call, signal: own, onDelta: (text) => deltas.push(text) }, serve),
    speak(
      serve: (text: string) => Promise<void>,
      own = signal(),
      onChunk?: (chunk: SpokenChunk, number: number) => void,
    ) {
      const attempt = {
        signal: own,
        attempt: 1,
        queueMs: 0,
        run: id,
        resumeFrom: null,
        checkpoint: () => undefined,
      } as Attempt;
      return speakStream(
        { channels, join: async (_, pieces) => ({ ...pieces[0], uri: pieces.map(({ uri }) => uri).join('+') }) },
        { call: speaker, attempt, field: 'text' },
        async ({ text }) => {
          await serve(String(text));
          return { output: { audio: { uri: `<${String(text)}>` } }, endpoint: 'e', device: 'd', cache: 'off' as const };
        },
        onChunk,
      );
    },
    async read(of = 'sentences'): Promise<{ values: unknown[]; end: ChannelEnd }> {
      const values: unknown[] = [];
      const reader = readChannel(channels, { run: id, path: 'answer', of }, { signal: signal() });
      for (;;) {
        const next = await reader.next();
        if (next.done) return { values, end: next.value };
        values.push(next.value.value);
      }
    },
  };
}

/** Emits a text in small parts. */
const emit = ({ onText }: Pick<Producing, 'onText'>, text: string) => {
  for (let at = 0; at < text.length; at += 5) onText(text.slice(at, at + 5));
};
const whole =
  (text = ANSWER) =>
  async (producing: Producing) => {
    emit(producing, text);
    return { output: { text } };
  };
/** Fails after some of the answer. */
const breaksAfter = (length: number) => async (producing: Producing) => {
  emit(producing, ANSWER.slice(0, length));
  await sleep(5);
  throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
};

describe('a producer', () => {
  it('passes on each sentence, and returns the whole', async () => {
    const { produce, read } = run();
    expect(await produce(whole())).toEqual({ output: { text: ANSWER } });
    const { values, end } = await read();
    expect(values).toEqual(PIECES);
    expect(end).toEqual({ as: 'done', outcome: { output: { text: ANSWER } } });
  });

  it('writes no more to one stream when the other cannot be opened', async () => {
    const { produce, channels } = run();
    const open = channels.open.bind(channels);
    channels.open = async (name, owner) => {
      if (name.of === 'tokens') throw new Error('away');
      return await open(name, owner);
    };
    const append = vi.spyOn(channels, 'append');
    await expect(produce(whole(), producer({ writes: ['sentences', 'tokens'] }))).rejects.toMatchObject({
      code: 'STREAM_LOST',
    });
    append.mockClear();
    // A writer looks after its channel every second.
    await sleep(1_300);
    expect(append).not.toHaveBeenCalled();
  });

  it('goes on behind what is committed when the next attempt repeats it', async () => {
    const { produce, read, deltas } = run();
    await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
    deltas.splice(0);
    expect(await produce(whole())).toEqual({ output: { text: ANSWER } });
    expect((await read()).values).toEqual(PIECES);
    // The second attempt shows followers the whole answer, once.
    expect(deltas.join('')).toBe(ANSWER);
  });

  it.each([' A second', 'A second'])(
    'goes on by prefill, whether the rest begins with white space or not: "%s…"',
    async () => {
      const { produce, read } = run();
      await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
      const rest = ANSWER.slice(PIECES[0]?.length);
      const result = await produce(async ({ committed, continues, onText }) => {
        expect(committed).toBe(PIECES[0]);
        continues();
        emit({ onText }, rest);
        return { output: { text: rest } };
      });
      expect(result).toEqual({ output: { text: ANSWER } });
      expect((await read()).values).toEqual(PIECES);
    },
  );

  it('goes on behind a server that repeats what it continues', async () => {
    const { produce, read, deltas } = run();
    await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
    deltas.splice(0);
    const result = await produce(async ({ continues, onText }) => {
      continues();
      emit({ onText }, ANSWER);
      return { output: { text: ANSWER } };
    });
    expect(result).toEqual({ output: { text: ANSWER } });
    expect((await read()).values).toEqual(PIECES);
    expect(deltas.join('')).toBe(ANSWER);
  });

  it('keeps a continuation that begins as the answer does', async () => {
    const { produce } = run();
    await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
    const result = await produce(async ({ continues }) => {
      continues();
      return { output: { text: 'One' } };
    });
    expect(result).toEqual({ output: { text: `${PIECES[0]}One` } });
  });

  it('is cut when the next attempt gives another answer, or ends if its author accepts that', async () => {
    const one = run();
    await expect(one.produce(breaksAfter(30))).rejects.toThrow('broke off');
    await expect(one.produce(whole('Something else entirely. Yes.'))).rejects.toMatchObject({ code: 'STREAM_CUT' });
    await expect(one.produce(whole('One'))).rejects.toMatchObject({ code: 'STREAM_CUT' });
    const call = producer({ onCut: 'end' });
    const result = await one.produce(whole('Something else.'), call);
    expect(result.output).toEqual({ text: PIECES[0], finish: 'stop' });
    expect(await one.read()).toMatchObject({ values: [PIECES[0]], end: { as: 'cut' } });
  });

  it('makes no call when the stream has ended', async () => {
    const { produce } = run();
    await produce(whole());
    const serve = vi.fn(whole());
    expect(await produce(serve)).toEqual({ output: { text: ANSWER } });
    expect(serve).not.toHaveBeenCalled();
  });

  it('passes nothing on of structured output and of possible tool calls before it is whole', async () => {
    for (const options of [{ schema: {} }, { tools: [{ name: 't' }] }]) {
      const { produce, read } = run();
      const call = producer({ with: options });
      await expect(produce(breaksAfter(60), call)).rejects.toThrow('broke off');
      expect(await produce(whole('Something else. Whole.'), call)).toEqual({
        output: { text: 'Something else. Whole.' },
      });
      expect((await read()).values).toEqual(['Something else.', ' Whole.']);
    }
  });

  it('takes an answer that comes in one piece, such as a cached one', async () => {
    const { produce, read } = run();
    await produce(async () => ({ output: { text: ANSWER } }));
    expect((await read()).values).toEqual(PIECES);
  });

  it('settles a sentence that reads as whole, and cuts one that does not end', async () => {
    const { produce, channels, id } = run();
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const { value } of readChannel(
        channels,
        { run: id, path: 'answer', of: 'sentences' },
        { signal: signal() },
      ))
        got.push(value);
    })();
    await produce(async ({ onText }) => {
      onText('It rains. ');
      await vi.waitFor(() => expect(got).toEqual(['It rains.']), { timeout: 30_000 });
      onText('When it rains in our town, everybody takes a');
      await vi.waitFor(() => expect(got).toHaveLength(2), { timeout: 30_000 });
      expect(got[1]).toBe(' When it rains in our town,');
      onText(' coat');
      return { output: { text: 'It rains. When it rains in our town, everybody takes a coat' } };
    });
    await reading;
    expect(got.join('')).toBe('It rains. When it rains in our town, everybody takes a coat');
  });

  it('gives tokens and sentences side by side, and both go on after a break', async () => {
    const { produce, read } = run();
    const call = producer({ writes: ['sentences', 'tokens'] });
    const broken = produce(async (producing) => {
      emit(producing, ANSWER.slice(0, 30));
      await sleep(100);
      throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
    }, call);
    await expect(broken).rejects.toThrow('broke off');
    await produce(async ({ committed, ...producing }) => {
      expect(committed).toBe(ANSWER.slice(0, 30));
      return whole()({ committed, ...producing });
    }, call);
    expect((await read('tokens')).values.join('')).toBe(ANSWER);
    expect((await read()).values).toEqual(PIECES);
  });
});

describe('a speaking stage', () => {
  it('speaks each sentence while the answer goes on', async () => {
    const { produce, speak } = run();
    const said: string[] = [];
    const spoken = speak(async (text) => void said.push(text));
    await produce(async (producing) => {
      emit(producing, ANSWER.slice(0, 50));
      await vi.waitFor(() => expect(said).toEqual([PIECES[0], PIECES[1]?.trim()]), { timeout: 30_000 });
      emit(producing, ANSWER.slice(50));
      return { output: { text: ANSWER } };
    });
    const uri = PIECES.map((piece) => `<${piece.trim()}>`).join('+');
    expect((await spoken).output).toEqual({ audio: { uri } });
  });

  it('goes on behind its last committed sentence in another attempt', async () => {
    const { produce, speak } = run();
    await produce(whole());
    const said: string[] = [];
    const dying = new AbortController();
    const first = speak(async (text) => {
      if (said.length === 2) {
        dying.abort(new Error('the worker died'));
        dying.signal.throwIfAborted();
      }
      said.push(text);
    }, dying.signal);
    await expect(first).rejects.toThrow('the worker died');
    const chunks: number[] = [];
    const second = await speak(
      async (text) => void said.push(text),
      signal(),
      (_, number) => chunks.push(number),
    );
    expect(said).toEqual(PIECES.map((piece) => piece.trim()));
    // The last committed one comes again: its event may have been lost.
    expect(chunks).toEqual([1, 2]);
    expect((second.output.audio as JsonObject).uri).toBe(PIECES.map((piece) => `<${piece.trim()}>`).join('+'));
    const third = await speak(async (text) => void said.push(text));
    expect(third.output).toEqual(second.output);
    expect(said).toHaveLength(3);
  });

  it('tries a sentence again, as often as the policy says, and no other', async () => {
    const { produce, speak } = run();
    await produce(whole());
    const said: string[] = [];
    await speak(async (text) => {
      said.push(text);
      if (said.length === 2) throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
    });
    expect(said).toEqual([PIECES[0], PIECES[1], PIECES[1], PIECES[2]].map((piece) => piece?.trim()));
    const other = run();
    await other.produce(whole());
    let calls = 0;
    const failing = other.speak(async () => {
      calls += 1;
      throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
    });
    await expect(failing).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { final: true } });
    expect(calls).toBe(retry.attempts);
  });

  it('gives up a store that cannot be reached, so that the collected text is spoken', async () => {
    const away = new MemoryChannelLog();
    away.open = async () => {
      throw new Error('connection refused');
    };
    const about = { run: 'r', call: producer(), signal: signal(), onDelta: () => undefined };
    const serve = vi.fn(whole());
    await expect(produceText({ channels: away }, about, serve)).rejects.toMatchObject({ code: 'STREAM_LOST' });
    expect(serve).not.toHaveBeenCalled();
  });

  it('has nothing to say without words', async () => {
    const { produce, speak } = run();
    await produce(whole(' \n '));
    await expect(speak(async () => undefined)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

describe('a whole text that is heard while it is spoken', () => {
  const attemptOf = (id: string, own: AbortSignal) =>
    ({ signal: own, attempt: 1, queueMs: 0, run: id, resumeFrom: null, checkpoint: () => undefined }) as Attempt;
  const parts = (channels: MemoryChannelLog) => ({
    channels,
    join: async (_: string, pieces: readonly [Artifact, ...Artifact[]]) =>
      ({ uri: pieces.map(({ uri }) => uri).join('+') }) as Artifact,
  });
  const call = { ...speaker, reads: undefined, entryMs: undefined, writes: ['chunks'] } as unknown as StageCall;
  const reply = (text: unknown) => ({
    output: { audio: { uri: `<${String(text)}>` } },
    endpoint: 'e',
    device: 'd',
    usage: { audioSeconds: 2 },
  });

  it('is spoken sentence by sentence; another attempt goes on with the next one', async () => {
    const channels = new MemoryChannelLog();
    const said: string[] = [];
    const speak = (failAt?: string) =>
      speakWhole(
        parts(channels),
        { call, attempt: attemptOf('r1', signal()), field: 'text', text: ANSWER },
        async ({ text }) => {
          if (text === failAt) throw new MillraceError('BACKEND_ERROR', 'no');
          said.push(String(text));
          return reply(text);
        },
      );
    await expect(speak('And a third one ends it.')).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    const outcome = await speak();
    expect(said).toEqual(PIECES.map((piece) => piece.trim()));
    expect(outcome?.output).toEqual({ audio: { uri: PIECES.map((piece) => `<${piece.trim()}>`).join('+') } });
    expect(outcome?.usage).toEqual({ audioSeconds: 6 });
    // What has ended is not made again.
    expect(await speak()).toEqual(outcome);
    expect(said).toHaveLength(3);
  });

  it('leaves time for other calls while a long text is divided, and ends with its attempt', async () => {
    const own = new AbortController();
    const text = '\n'.repeat(1_000_000) + ANSWER;
    let turns = 0;
    const count = () => {
      turns += 1;
      if (turns === 20) own.abort(new Error('the run was cancelled'));
      else setImmediate(count);
    };
    setImmediate(count);
    const given = { call, attempt: attemptOf('r3', own.signal), field: 'text', text };
    const never = async () => Promise.reject(new Error('called'));
    await expect(speakWhole(parts(new MemoryChannelLog()), given, never)).rejects.toThrow('the run was cancelled');
  });

  it('goes on behind what was spoken of a stream that was lost, whose entries are other pieces than its sentences', async () => {
    const channels = new MemoryChannelLog();
    const entries = ['One sentence. A second one.', 'A third one. And a fourth.'];
    const options = { signal: signal(), ttlMs: 60_000 };
    const writer = await ChannelWriter.open(channels, { run: 'r4', path: 'said', of: 'entries' }, options);
    await writer.end({ as: 'done' }, ...entries.map((value) => ({ value })));
    const said: string[] = [];
    const serve = async ({ text }: JsonObject) => {
      if (said.length === 1 && text === entries[1]) throw new MillraceError('STREAM_LOST', 'gone');
      said.push(String(text));
      return reply(text);
    };
    const reads = { text: { path: 'said', of: 'entries' } };
    const streaming = { call: { ...call, reads, entryMs: 60_000 }, attempt: attemptOf('r4', signal()), field: 'text' };
    await expect(speakStream(parts(channels), streaming, serve)).rejects.toMatchObject({ code: 'STREAM_LOST' });
    const outcome = await speakWhole(
      parts(channels),
      { call, attempt: attemptOf('r4', signal()), field: 'text', text: entries },
      serve,
    );
    expect(said).toEqual(['One sentence. A second one.', 'A third one.', 'And a fourth.']);
    expect(outcome?.output).toEqual({ audio: { uri: said.map((text) => `<${text}>`).join('+') } });
  });

  it('is left to a single call if it is a single sentence', async () => {
    const never = async () => Promise.reject(new Error('called'));
    for (const text of ['One sentence.', ['One sentence.'], '', '  ', undefined]) {
      const given = { call, attempt: attemptOf('r2', signal()), field: 'text', text };
      expect(await speakWhole(parts(new MemoryChannelLog()), given, never)).toBeUndefined();
    }
  });
});
