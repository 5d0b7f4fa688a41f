import { describe, expect, it, vi } from 'vitest';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { produceText } from '../../../../activities/streams/produce.js';
import { speakStream, speakWhole } from '../../../../activities/streams/speak.js';
import { voiceOf } from '../../../../activities/streams/spoken-chunk.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { jsonHash } from '../../../../pipelines/plan/hash.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { ChannelWriter, MemoryChannelLog } from '../../../../stores/channels/index.js';
import { ANSWER, emit, PIECES, producer, retry, run, signal, speaker, whole } from './stream-run.js';

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

  it('rests while it waits for a server that is away, and sends nothing before it may go on', async () => {
    const { produce, speak } = run();
    await produce(whole());
    const events: string[] = [];
    const rest = () => {
      events.push('rests');
      return async () => void events.push('goes on');
    };
    const serve = async (text: string) => {
      events.push(text);
      const [first, second] = [PIECES[0], PIECES[1]?.trim()];
      const made = events.filter((each) => each === text).length;
      if (text === first && made < 3) throw new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });
      if (text === second && made < 2) throw new MillraceError('BACKEND_ERROR', 'failed');
    };
    await speak(serve, signal(), undefined, rest);
    const [one, two, three] = PIECES.map((piece) => piece.trim());
    expect(events).toEqual([one, 'rests', 'goes on', one, 'rests', 'goes on', one, two, two, three]);
  });

  it('rests while the next sentence is not there for a while', async () => {
    const { produce, speak } = run();
    const events: string[] = [];
    const rest = () => {
      events.push('rests');
      return async () => void events.push('goes on');
    };
    const spoken = speak(async (text) => void events.push(text), signal(), undefined, rest);
    await produce(async (producing) => {
      await vi.waitFor(() => expect(events).toEqual(['rests']), { timeout: 30_000 });
      emit(producing, ANSWER);
      return { output: { text: ANSWER } };
    });
    await spoken;
    expect(events.slice(0, 3)).toEqual(['rests', 'goes on', PIECES[0]]);
  });

  it('goes on with what an earlier try of a sentence has begun, and with nothing of another sentence', async () => {
    const { produce, speak } = run();
    await produce(whole());
    const from: Json[] = [];
    await speak(async (text, { resumeFrom, checkpoint }) => {
      from.push(resumeFrom);
      if (resumeFrom === null) checkpoint({ job: text });
      if (from.length === 2) throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
    });
    expect(from).toEqual([null, null, { job: PIECES[1]?.trim() }, null]);
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
});

describe('a whole text that is heard while it is spoken', () => {
  const attemptOf = (id: string, own: AbortSignal) =>
    ({ signal: own, attempt: 1, queueMs: 0, run: id, resumeFrom: null, checkpoint: () => undefined }) as Attempt;
  const parts = (channels: MemoryChannelLog) => ({
    channels,
    join: async (_: string, pieces: readonly [Artifact, ...Artifact[]]) =>
      ({ uri: pieces.map(({ uri }) => uri).join('+') }) as Artifact,
    convert: async (_: string, piece: Artifact) => piece,
  });
  const call = { ...speaker, reads: undefined, entryMs: undefined, writes: ['chunks'] } as unknown as StageCall;
  const reply = (text: unknown) => ({
    output: { audio: { uri: `<${String(text)}>` } },
    endpoint: 'e',
    device: 'd',
    usage: { audioSeconds: 2 },
  });

  it('gives what an earlier attempt has begun to the sentence with which it goes on, and to no other', async () => {
    const attempt = { ...attemptOf('r0', signal()), resumeFrom: { job: 'one' } };
    const from: Json[] = [];
    await speakWhole(
      parts(new MemoryChannelLog()),
      { call, attempt, field: 'text', text: ANSWER },
      async (input, own) => {
        from.push(own.resumeFrom);
        return reply(input.text);
      },
    );
    expect(from).toEqual([{ job: 'one' }, null, null]);
  });

  it('lets what a server has of a sentence be removed when the next one begins, and that of the last one at the end', async () => {
    const events: string[] = [];
    const atEnd: (() => void)[] = [];
    const attempt: Attempt = { ...attemptOf('r00', signal()), whenKept: (work) => void atEnd.push(work) };
    await speakWhole(
      parts(new MemoryChannelLog()),
      { call, attempt, field: 'text', text: ANSWER },
      async ({ text }, own) => {
        events.push(`speaks ${text}`);
        own.whenKept?.(() => void events.push(`removes ${text}`));
        return reply(text);
      },
    );
    const [one, two, three] = PIECES.map((piece) => piece.trim());
    const before = [`speaks ${one}`, `removes ${one}`, `speaks ${two}`, `removes ${two}`, `speaks ${three}`];
    expect(events).toEqual(before);
    for (const work of atEnd) work();
    expect(events).toEqual([...before, `removes ${three}`]);
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

  it('has a list of its pieces where something reads them, all of them also in another attempt, and of a single sentence', async () => {
    const channels = new MemoryChannelLog();
    const read = { ...call, writes: ['pieces'] };
    const speak = (id: string, text: string, failAt?: string) =>
      speakWhole(
        parts(channels),
        { call: read, attempt: attemptOf(id, signal()), field: 'text', text },
        async ({ text }) => {
          if (text === failAt) throw new MillraceError('BACKEND_ERROR', 'no');
          return reply(text);
        },
      );
    await expect(speak('r5', ANSWER, 'And a third one ends it.')).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    const pieces = async (id: string, text: string) => (await speak(id, text))?.output as JsonObject | undefined;
    expect((await pieces('r5', ANSWER))?.chunks).toEqual([
      { audio: { uri: '<One sentence is here.>' }, number: 0, text: PIECES[0], at: 0 },
      { audio: { uri: '<A second one follows.>' }, number: 1, text: PIECES[1], at: 21 },
      { audio: { uri: '<And a third one ends it.>' }, number: 2, text: PIECES[2], at: 43 },
    ]);
    expect((await pieces('r6', 'One sentence is here.'))?.chunks).toEqual([
      { audio: { uri: '<One sentence is here.>' }, number: 0, text: 'One sentence is here.', at: 0 },
    ]);
    expect(await speak('r7', '  ')).toBeUndefined();
    expect((await pieces('r8', '---\n***'))?.chunks).toEqual([
      { audio: { uri: '<***>' }, number: 0, text: '\n***', at: 3 },
    ]);
  });

  it('goes on with a call whose input names the voice that another one’s options name, and not with another speed', async () => {
    const { kind, model, with: options } = call;
    const earlier = jsonHash([kind, model, options]).slice(0, 16);
    expect(voiceOf(call, { text: ANSWER, other: 'x' }), 'as earlier releases have it').toBe(earlier);
    expect(voiceOf(call, { text: ANSWER, voice: null, instructions: '' }), 'nothing is given').toBe(earlier);
    const channels = new MemoryChannelLog();
    const said: string[] = [];
    const speak = (voice: JsonObject, input: JsonObject, failAt?: string) =>
      speakWhole(
        parts(channels),
        { call: { ...call, with: voice }, attempt: attemptOf('r11', signal()), input, field: 'text', text: ANSWER },
        async ({ text }) => {
          if (text === failAt) throw new MillraceError('BACKEND_ERROR', 'no');
          said.push(String(text));
          return reply(text);
        },
      );
    const [, two, three] = PIECES.map((piece) => piece.trim());
    await expect(speak({ voice: 'a' }, { speed: 2 }, two)).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    await expect(speak({ voice: 'a' }, { speed: 1 })).rejects.toMatchObject({ code: 'STREAM_CUT' });
    await expect(speak({ voice: 'a' }, { voice: 'b', speed: 2 })).rejects.toMatchObject({ code: 'STREAM_CUT' });
    const sameVoice = speak({ voice: 'b' }, { voice: 'a', speed: 2 }, three);
    await expect(sameVoice).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    await speak({ voice: 'a' }, { voice: 'a', speed: 2 });
    expect(said).toEqual(PIECES.map((piece) => piece.trim()));
  });

  it('is spoken without its pieces that are marks alone, in another attempt too', async () => {
    const channels = new MemoryChannelLog();
    const text = '***\nOne sentence is here.\n---\nA second one follows.\n---\nAnd a third one ends it.';
    const said: string[] = [];
    const speak = (failAt?: string) =>
      speakWhole(
        parts(channels),
        { call: { ...call, writes: ['pieces'] }, attempt: attemptOf('r9', signal()), field: 'text', text },
        async ({ text }) => {
          if (!/\w/.test(String(text))) throw new MillraceError('INVALID_OUTPUT', 'no samples');
          if (text === failAt) throw new MillraceError('BACKEND_ERROR', 'no');
          said.push(String(text));
          return reply(text);
        },
      );
    await expect(speak('A second one follows.')).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    await expect(speak('And a third one ends it.')).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    const outcome = await speak();
    expect(said).toEqual(PIECES.map((piece) => piece.trim()));
    expect((outcome?.output as JsonObject | undefined)?.chunks).toMatchObject(
      said.map((piece) => ({ text: `\n${piece}`, at: text.indexOf(`\n${piece}`) })),
    );
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

  it.each([
    [
      ['One sentence. A second one.', 'A third one. And a fourth.'],
      ['One sentence. A second one.', 'A third one.', 'And a fourth.'],
    ],
    [
      ['One sentence. A second one.', '---', 'A third one. A fourth one.', '***', 'A fifth one. And a sixth.'],
      ['One sentence. A second one.', 'A third one. A fourth one.', '*** A fifth one.', 'And a sixth.'],
    ],
  ])('goes on behind what was spoken of a lost stream, whose entries are no sentences: %j', async (entries, spoken) => {
    const channels = new MemoryChannelLog();
    const options = { signal: signal(), ttlMs: 60_000 };
    const writer = await ChannelWriter.open(channels, { run: 'r4', path: 'said', of: 'entries' }, options);
    await writer.end({ as: 'done' }, ...entries.map((value) => ({ value })));
    const said: string[] = [];
    const serve = async ({ text }: JsonObject) => {
      if (text === entries.at(-1)) throw new MillraceError('STREAM_LOST', 'gone');
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
    expect(said).toEqual(spoken);
    expect(outcome?.output).toEqual({ audio: { uri: said.map((text) => `<${text}>`).join('+') } });
  });

  it('is left to a single call if it is a single sentence', async () => {
    const never = async () => Promise.reject(new Error('called'));
    for (const text of ['One sentence.', ['One sentence.'], '---\nOne sentence.\n---', '***', '', '  ', undefined]) {
      const given = { call, attempt: attemptOf('r2', signal()), field: 'text', text };
      expect(await speakWhole(parts(new MemoryChannelLog()), given, never)).toBeUndefined();
    }
  });
});
