import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import {
  audio,
  code,
  MillraceError,
  type Pipeline,
  pipeline,
  streamOf,
  synthesize,
  transcribe,
} from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { RunResult } from '../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret, interpretSegment, type RunHost } from '../../../workflows/interpreter/index.js';
import { AwayLog } from '../../support/away-log.js';
import { changed } from '../../support/changed-host.js';
import { contextOf } from '../../support/in-process.js';
import { nothingWritten, referring } from '../../support/referring-host.js';
import { audioOf, voiceRunner } from '../../support/voice-runner.js';

/* The pieces of a voice's audio as a stream: other stages read each while the voice goes on. */

const SENTENCES = ['It rains in the valley.', 'Nobody came to the fair.', 'The lantern was still lit.'];
const TEXT = SENTENCES.join(' ');
const PIECES = [
  { audio: audioOf(SENTENCES[0] as string), number: 0, text: SENTENCES[0], at: 0 },
  { audio: audioOf(SENTENCES[1] as string), number: 1, text: ` ${SENTENCES[1]}`, at: 23 },
  { audio: audioOf(SENTENCES[2] as string), number: 2, text: ` ${SENTENCES[2]}`, at: 48 },
];
const input = z.object({ text: z.string() });
const piece = z.object({ audio: audio(), number: z.int(), text: z.string(), at: z.int() });
type Execution = 'queued' | 'inline';

/** A function that reads the pieces, and calls `reads` with each. */
function read(execution: Execution, reads: (number: number) => Promise<void> | void = () => undefined) {
  const listed = code(
    'listed',
    { input: z.object({ pieces: streamOf(piece) }), output: z.object({ pieces: z.array(piece) }) },
    async ({ pieces }) => {
      const all: z.output<typeof piece>[] = [];
      for await (const each of pieces) {
        await reads(each.number);
        all.push(each);
      }
      return { pieces: all };
    },
  );
  return pipeline('read-pieces', { input, deadline: '1m' }, ({ input, stage }) => {
    const options = { execution };
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text }, options);
    const { pieces } = stage('listed', listed, { pieces: spoken.chunks }, options);
    return { speech: spoken.audio, pieces };
  });
}

/** Each piece is heard by a recogniser. */
const heardOf = (execution: Execution) =>
  pipeline('hear-pieces', { input, deadline: '1m' }, ({ input, stage, each }) => {
    const options = { execution };
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text }, options);
    const heard = each(
      'heard',
      spoken.chunks,
      (piece) => stage('hear', transcribe({ model: 'whisper' }), { audio: piece.audio }, options).text,
    );
    return { speech: spoken.audio, heard };
  });

const run = async (of: unknown, host: RunHost, text = TEXT) =>
  ((await interpret({ text }, contextOf(of as Pipeline), host)) as RunResult).output;

const inProcess = (...given: Parameters<typeof voiceRunner>) =>
  new InProcessHost({ runner: voiceRunner(...given), run: 'r' });

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** A promise that is kept by calling `open`. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('the pieces of a voice', () => {
  it.each(['inline', 'queued'] as const)('are read by a function while the voice goes on: %s', async (execution) => {
    const seen: string[] = [];
    let next = gate();
    const of = read(execution, (number) => {
      seen.push(`reads ${number}`);
      next.open();
    });
    const speaks = async (text: string) => {
      const number = SENTENCES.indexOf(text);
      if (number > 0) await next.opened;
      next = gate();
      seen.push(`speaks ${number}`);
    };
    const output = await run(of, inProcess(of, new MemoryChannelLog(), { speaks }));
    expect(seen).toEqual(['speaks 0', 'reads 0', 'speaks 1', 'reads 1', 'speaks 2', 'reads 2']);
    expect(output).toEqual({ speech: audioOf(TEXT), pieces: PIECES });
  });

  const segmented = (of: unknown): RunHost =>
    changed(inProcess(of, new MemoryChannelLog()), (inner) => ({
      runSegment: async (segment) => copy(await interpretSegment(copy(segment), inner)),
    }));

  it.each<[string, Execution, (of: unknown) => RunHost]>([
    ['in one process', 'queued', (of) => inProcess(of, new MemoryChannelLog())],
    ['inline', 'inline', (of) => inProcess(of, new MemoryChannelLog())],
    ['in a segment', 'inline', segmented],
  ])('are heard one by one in an each, once and in order: %s', async (_, execution, host) => {
    const of = heardOf(execution);
    expect(await run(of, host(of))).toEqual({ speech: audioOf(TEXT), heard: SENTENCES });
  });

  it('are heard by stages of which a workflow has places only', async () => {
    const of = heardOf('queued');
    const runner = voiceRunner(of, new MemoryChannelLog());
    const written = nothingWritten();
    const host = referring(new InProcessHost({ runner, run: 'r' }), { runner, run: 'r', written });
    expect(await run(of, host)).toEqual({ speech: audioOf(TEXT), heard: SENTENCES });
    expect(written.waits.flatMap(({ entries }) => entries.map(({ number }) => number))).toEqual([0, 1, 2]);
    expect(JSON.stringify(written.waits)).not.toContain('artifact://');
  });

  it('are the same when the store loses their stream: the list of them is read, and none is spoken again', async () => {
    const channels = new MemoryChannelLog();
    const spoken: string[] = [];
    const reader = channels.read.bind(channels);
    channels.read = async (name, from, most) => {
      const held = await reader(name, from, most);
      // Other entries than those that were read.
      return held && from > 0 && name.of === 'chunks' ? { ...held, hash: '0'.repeat(32), count: from } : held;
    };
    const of = read('queued');
    const output = await run(of, inProcess(of, channels, { speaks: (text) => void spoken.push(text) }));
    expect(output?.pieces).toEqual(PIECES);
    expect(spoken).toEqual(SENTENCES);
  });

  it('are the same if the store is away when the voice is tried again: it waits, and goes on with the next', async () => {
    const channels = new AwayLog();
    const spoken: string[] = [];
    const speaks = (text: string) => {
      spoken.push(text);
      if (spoken.length !== 2) return;
      // For longer than a first attempt waits, and shorter than two that do not.
      channels.leaveFor(4_500);
      throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
    };
    const of = read('queued');
    const output = await run(of, inProcess(of, channels, { speaks }));
    expect(output).toEqual({ speech: audioOf(TEXT), pieces: PIECES });
    expect(spoken).toEqual([SENTENCES[0], SENTENCES[1], SENTENCES[1], SENTENCES[2]]);
  });

  it('are one if the voice says one sentence, or all of a text at once since the store is away', async () => {
    const of = read('queued');
    const [first] = PIECES;
    expect(await run(of, inProcess(of, new MemoryChannelLog()), SENTENCES[0])).toEqual({
      speech: first?.audio,
      pieces: [first],
    });
    const channels = new MemoryChannelLog();
    const open = channels.open.bind(channels);
    let voice: string | undefined;
    channels.open = async (...given) => {
      // Each writer has an owner of its own: what passes the whole audio on finds the store back.
      const [, owner] = given;
      voice ??= owner;
      if (owner === voice) throw new Error('connection refused');
      return await open(...given);
    };
    const whole = { audio: audioOf(TEXT), number: 0, text: TEXT, at: 0 };
    expect(await run(of, inProcess(of, channels))).toEqual({ speech: whole.audio, pieces: [whole] });
  });

  it('are one without channels, of which nobody says the text', async () => {
    const of = read('queued');
    const speech = audioOf(TEXT);
    const pieces = [{ audio: speech, number: 0, text: '', at: 0 }];
    expect(await run(of, inProcess(of, null))).toEqual({ speech, pieces });
  });

  it('are a list for whatever reads them at the end, also of another execution', async () => {
    const of = pipeline('listed-pieces', { input }, ({ input, stage, each }) => {
      const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text }, { execution: 'inline' });
      const heard = each(
        'heard',
        spoken.chunks,
        (piece) => stage('hear', transcribe({ model: 'whisper' }), { audio: piece.audio }).text,
      );
      return { pieces: spoken.chunks, heard };
    });
    const output = await run(of, inProcess(of, new MemoryChannelLog()));
    expect(output).toEqual({ pieces: PIECES, heard: SENTENCES });
  });

  it('hold the voice back while a reader lags, and no longer when it goes on', async () => {
    const sentences = Array.from({ length: 48 }, (_, i) => `This is sentence number ${i} of the story.`);
    const spoken: string[] = [];
    const [begun, released] = [gate(), gate()];
    const of = read('queued', async (number) => {
      if (number > 0) return;
      begun.open();
      await released.opened;
    });
    const speaks = async (text: string) => {
      if (spoken.length === 1) await begun.opened;
      spoken.push(text);
    };
    const ending = run(of, inProcess(of, new MemoryChannelLog(), { speaks }), sentences.join(' '));
    await vi.waitFor(() => expect(spoken).toHaveLength(32), { timeout: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(spoken).toHaveLength(32);
    released.open();
    const pieces = (await ending)?.pieces as readonly JsonObject[];
    expect(pieces.map(({ text }) => String(text).trim())).toEqual(sentences);
    expect(spoken).toEqual(sentences);
  });
});
