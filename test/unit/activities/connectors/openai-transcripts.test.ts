import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallContext } from '../../../../activities/connectors/connector.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { type Exchange, failure, fixture, invoke, SimulatedServer } from './openai-server.js';

/* Transcripts that arrive as they are made, and who said what: by what the servers' documentation says. */

let server: SimulatedServer;
beforeEach(async () => {
  server = await SimulatedServer.start();
});
afterEach(() => server.stop());

const RATE = 16_000;
const audioOf = (seconds: number): CallContext['audio'] => ({
  async *read() {
    for (let i = 0; i < seconds; i++) {
      yield new Float32Array(RATE).fill(0.25);
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
  write: () => Promise.reject(new Error('writes nothing')),
});

const transcribe = (options: JsonObject, pool: JsonObject, seconds = 2, context: Partial<CallContext> = {}) =>
  invoke(
    server.connect(pool),
    { kind: 'transcribe', with: options, input: { audio: {} as never } },
    { audio: audioOf(seconds), ...context },
  );
const sent = () => server.received.at(-1)?.bytes.toString('latin1') ?? '';

describe('a streamed transcript', () => {
  const pool = { streamTranscripts: true };

  it.each([
    ['openai-transcription-stream.handwritten', ['What is', ' the capital', ' of France?']],
    ['vllm-transcription-stream.handwritten', ['What is', ' the capital', ' of France?']],
    ['openai-transcription.handwritten', ['What is the capital of France?']],
  ])('of %s is emitted as it arrives', async (name, deltas) => {
    server.replay(fixture(name));
    const { output, chunks } = await transcribe({}, pool);
    expect(output).toEqual({ text: 'What is the capital of France?' });
    expect(chunks).toEqual(deltas);
    expect(sent()).toContain('name="stream"\r\n\r\ntrue');
  });

  it('goes on behind an earlier part with a space', async () => {
    server.replay(fixture('vllm-transcription-stream.handwritten'));
    const resumeFrom: Json = { sample: RATE, text: 'Well.' };
    const { output, chunks } = await transcribe({}, pool, 2, { resumeFrom });
    expect(output.text).toBe('Well. What is the capital of France?');
    expect(chunks[0]).toBe(' What is');
  });

  it('that breaks off is BACKEND_UNAVAILABLE, and one of no events INVALID_OUTPUT', async () => {
    const { events = [] } = fixture('openai-transcription-stream.handwritten');
    server.events(events.slice(0, 2));
    const broken = await failure(transcribe({}, pool));
    expect(broken.code).toBe('BACKEND_UNAVAILABLE');
    expect(broken.message).toContain('broke off after 19 characters');
    server.json(200, '<html>no</html>');
    expect((await failure(transcribe({}, pool))).code).toBe('INVALID_OUTPUT');
  });

  const part = (content: string, finish: string | null) => ({
    object: 'transcription.chunk',
    choices: [{ delta: { content }, finish_reason: finish }],
  });
  it.each([
    ['within its second part', [part('One.', 'stop'), part(' Two', null)], true],
    ['within its second part, without a last line', [part('One.', 'stop'), part(' Two', null)], false],
    ['between two parts', [part('One.', 'stop')], false],
    ['with a part that the server aborts', [part('One.', 'abort'), part('', 'stop')], true],
  ])('of vLLM that ends %s is BACKEND_UNAVAILABLE', async (_, events, done) => {
    server.events(events, done);
    const checkpoints: Json[] = [];
    const checkpoint = (progress: Json) => void checkpoints.push(progress);
    expect((await failure(transcribe({}, pool, 2, { checkpoint }))).code).toBe('BACKEND_UNAVAILABLE');
    expect(checkpoints).toEqual([]);
  });

  it.each([
    [{ error: { message: 'the model is overloaded', type: 'overloaded' } }, 'BACKEND_OVERLOADED'],
    [{ error: { message: 'audio too long', code: 400 } }, 'BACKEND_REJECTED'],
  ])('with an event %j is %s', async (event, code) => {
    server.events([{ type: 'transcript.text.delta', delta: 'What' }, event]);
    expect((await failure(transcribe({}, pool))).code).toBe(code);
  });

  it('without end is INVALID_OUTPUT, not kept in memory', async () => {
    server.events(Array.from({ length: 20 }, () => ({ type: 'transcript.text.delta', delta: 'x'.repeat(10_000) })));
    expect((await failure(transcribe({}, pool))).code).toBe('INVALID_OUTPUT');
  });

  it('is that of the end where the server has changed its mind', async () => {
    server.events([
      { type: 'transcript.text.delta', delta: 'Watt is' },
      { type: 'transcript.text.done', text: 'What is it?' },
    ]);
    const { output, chunks } = await transcribe({}, pool);
    expect(output.text).toBe('What is it?');
    expect(chunks).toEqual(['Watt is']);
  });

  it('is not asked for by other pools, nor with times, which OpenAI’s server does not stream', async () => {
    server.replay(fixture('openai-transcription.handwritten'));
    await transcribe({}, {});
    expect(sent()).not.toContain('name="stream"');
    server.json(200, { text: 'x', segments: [{ start: 0, end: 1, text: 'x' }] });
    await transcribe({ segments: 'segments' }, pool);
    expect(sent()).not.toContain('name="stream"');
  });

  it('ends with its call', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"type":"transcript.text.delta","delta":"What"}\n\n');
    };
    const stop = new AbortController();
    const running = transcribe({}, pool, 2, { signal: stop.signal, emit: () => stop.abort(new Error('enough')) });
    await expect(running).rejects.toThrow('enough');
    await expect.poll(() => server.abandoned).toBe(1);
  });
});

describe('speakers', () => {
  const SAID = [
    { start: 0, end: 1.5, text: 'How much is left?', speaker: 'A' },
    { start: 1.75, end: 2, text: 'Half.', speaker: 'B' },
  ];
  const pool = { segmentsBy: 'diarized_json' };

  it.each<[string, JsonObject]>([
    ['openai-diarized.handwritten', pool],
    ['openai-diarized-stream.handwritten', { ...pool, streamTranscripts: true }],
  ])('of %s are those of the segments', async (name, options) => {
    server.replay(fixture(name));
    const { output, chunks } = await transcribe({ segments: 'segments' }, options);
    expect(output).toEqual({ text: 'How much is left? Half.', segments: SAID });
    expect(chunks.join('')).toBe('How much is left? Half.');
    for (const part of ['diarized_json', 'name="chunking_strategy"\r\n\r\nauto']) expect(sent()).toContain(part);
    expect(sent()).not.toContain('timestamp_granularities');
  });

  it('are told with each segment as it arrives, and those of earlier parts before', async () => {
    server.replay(fixture('openai-diarized-stream.handwritten'));
    const told: (readonly [from: number, more: readonly Json[]])[] = [];
    const options = { ...pool, streamTranscripts: true };
    await transcribe({ segments: 'segments' }, options, 2, { segments: (...given) => void told.push(given) });
    expect(told).toEqual([
      [0, [SAID[0]]],
      [1, [SAID[1]]],
      [0, SAID],
    ]);
    told.length = 0;
    server.replay(fixture('openai-diarized-stream.handwritten'));
    const resumeFrom = { sample: RATE, text: 'Well.', segments: [{ start: 0, end: 1, text: 'Well.' }], part: 1 };
    const segments = (...given: (typeof told)[number]) => void told.push(given);
    await transcribe({ segments: 'segments' }, options, 2, { resumeFrom, segments });
    // Without those of the checkpoint the first one told would be taken for the beginning.
    expect(told[0]?.[1][0]).toEqual(resumeFrom.segments[0]);
    expect(told.map(([from]) => from)).toEqual([0, 1, 2, 0]);
    expect(told.at(-1)?.[1]).toHaveLength(3);
  });

  it('that verbose_json names are kept, with words', async () => {
    server.json(200, {
      text: 'Half.',
      segments: [{ start: 0, end: 1, text: ' Half.', speaker: 'SPEAKER_00', words: null }],
      words: [{ word: 'Half', start: 0, end: 0.5 }],
    });
    const { output } = await transcribe({ segments: 'words' }, {});
    expect(output.segments).toEqual([
      { start: 0, end: 1, text: 'Half.', speaker: 'SPEAKER_00', words: [{ start: 0, end: 0.5, text: 'Half' }] },
    ]);
  });

  it('of a later part are told apart from those of an earlier one, which are not known to be the same', async () => {
    server.replay(fixture('openai-diarized.handwritten'));
    const checkpoints: Json[] = [];
    const checkpoint = (progress: Json) => void checkpoints.push(progress);
    const options = { segments: 'segments' };
    const { output } = await transcribe(options, pool, 700, { checkpoint });
    const speakers = (of: JsonObject) => (of.segments as JsonObject[]).map(({ speaker }) => speaker);
    expect(speakers(output)).toEqual(['A', 'B', 'A/2', 'B/2']);
    const resumed = await transcribe(options, pool, 700, { resumeFrom: checkpoints[0] as Json });
    expect(resumed.output).toEqual(output);
    expect(server.received).toHaveLength(3);
  }, 120_000);

  it('with words are CAPABILITY_MISSING at vLLM, which has none and does not say so', async () => {
    const error = await failure(transcribe({ segments: 'words' }, { server: 'vllm' }));
    expect(error).toMatchObject({ code: 'CAPABILITY_MISSING', message: expect.stringContaining('vLLM') });
    expect(server.received).toHaveLength(0);
  });

  it('are asked of vLLM in one answer, without the strategy that it does not have', async () => {
    server.replay(fixture<Exchange>('openai-diarized.handwritten'));
    await transcribe({ segments: 'segments' }, { ...pool, server: 'vllm', streamTranscripts: true });
    expect(sent()).toContain('diarized_json');
    expect(sent()).not.toContain('chunking_strategy');
    expect(sent()).not.toContain('name="stream"');
  });

  it('with words are CAPABILITY_MISSING, unasked', async () => {
    expect((await failure(transcribe({ segments: 'words' }, pool))).code).toBe('CAPABILITY_MISSING');
    expect(server.received).toHaveLength(0);
  });

  it('are not asked for by a stage that wants the text alone', async () => {
    server.replay(fixture<Exchange>('openai-transcription.handwritten'));
    await transcribe({}, pool);
    expect(sent()).toContain('name="response_format"\r\n\r\njson');
  });
});
