import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RECIPE } from '../../deploy/local/stack/paths.js';
import { writeWav } from '../../media/index.js';
import { diarisedMinutes } from '../../pipelines/catalog/index.js';
import type { Turn } from '../../pipelines/catalog/speaker-turns.js';
import { audio, detect, type Pipeline, pipeline, transcribe } from '../../pipelines/index.js';
import type { RunDocument } from '../../runs/document.js';
import { type Dialogue, dialogueOf, type Line } from '../support/dialogue.js';
import { until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { testSettings } from '../support/settings.js';
import { openSpeech, type Speech, wordAccuracy } from '../support/speech.js';

/**
 * Who said what, on real models. The embedded stack has one voice: the second speaker is the same voice, lower in pitch
 * and formants. Real meetings are harder; what this shows is that the parts work together.
 */

const LINES: readonly Line[] = [
  { voice: 0, text: 'Good morning. We begin with the budget for the new kitchen. How much money is left?' },
  { voice: 1, text: 'Nearly half of it is spent. The carpenter wants to be paid before the holidays.' },
  { voice: 0, text: 'Then the painter has to wait until summer. What about the library?' },
  { voice: 1, text: 'The library needs more shelves, because children borrow many books about animals and stars.' },
  { voice: 0, text: 'I will write a letter to the mayor and ask for more money.' },
];
/** Two idle cores take a fifth of it. */
const LIMIT_MS = 180_000;
const MOST_SECONDS = 1_800;

const input = z.object({ recording: audio() });
const speakersAlone = pipeline('speakers-alone', { input }, ({ input, stage }) => {
  const { detections } = stage(
    'speakers',
    detect({ model: 'speakers' }),
    { audio: input.recording },
    { timeout: { attempt: '3m' } },
  );
  return { detections };
});
const heardTwice = pipeline('heard-twice', { input, deadline: '10m' }, ({ input, stage }) => {
  const timed = stage('timed', transcribe({ model: 'whisper', segments: 'words' }), { audio: input.recording });
  const plain = stage('plain', transcribe({ model: 'whisper' }), { audio: input.recording });
  return { timed: timed.text, plain: plain.text, segments: timed.segments };
});

let served: ServedPipelines;
let speech: Speech;
let dialogue: Dialogue;
beforeAll(async () => {
  [served, speech] = await Promise.all([
    servePipelines([diarisedMinutes, speakersAlone, heardTwice] as unknown as Pipeline<never>[]),
    openSpeech(),
  ]);
  dialogue = await dialogueOf(speech, LINES);
});
afterAll(async () => {
  speech.close();
  await served.close();
});

async function runOf(name: string, wav: Uint8Array): Promise<RunDocument> {
  const response = await served.post(name, new Uint8Array(wav), { 'content-type': 'audio/wav' });
  const { id } = (await response.json()) as RunDocument;
  let run = await served.get(id);
  const hasEnded = async () => {
    run = await served.get(id);
    return run.id === id && run.status !== 'running';
  };
  await until('the run ends', hasEnded, LIMIT_MS);
  return run;
}

async function outputOf(name: string, wav: Uint8Array): Promise<RunDocument['output']> {
  const { output, error } = await runOf(name, wav);
  expect(error).toBeUndefined();
  return output;
}

const wavOf = (samples: Int16Array) => Buffer.concat([...writeWav(samples, { sampleRate: 16_000 })]);
/** A detection of a speaker. */
interface Spoken {
  readonly label: string;
  readonly score: number;
  readonly span: { readonly startMs: number; readonly endMs: number };
}
const heardIn = async (wav: Uint8Array) =>
  (await outputOf('speakers-alone', wav))?.detections as unknown as readonly Spoken[];

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z']+/g) ?? [];

describe('diarised-minutes', () => {
  it('tells two speakers apart, gives each what was said, and writes minutes', { timeout: 2 * LIMIT_MS }, async () => {
    const output = await outputOf('diarised-minutes', dialogue.wav);
    const { speakers, turns, transcript, notes, minutes } = output as unknown as {
      speakers: { speaker: string; seconds: number }[];
      turns: Turn[];
      transcript: string;
      notes: string[];
      minutes: string;
    };
    expect(speakers.map(({ speaker }) => speaker)).toEqual(['speaker-0', 'speaker-1']);

    // Words that only one of the two says: whose turn are they in?
    const said = [0, 1].map(
      (voice) => new Set(LINES.flatMap((line) => (line.voice === voice ? wordsOf(line.text) : []))),
    );
    const own = (word: string) => said.findIndex((words, i) => words.has(word) && !said[1 - i]?.has(word));
    const attributed = turns.flatMap(({ speaker, text }) =>
      wordsOf(text).flatMap((word) => (own(word) === -1 ? [] : [speaker === `speaker-${own(word)}`])),
    );
    expect(attributed.length).toBeGreaterThan(25);
    expect(attributed.filter(Boolean).length / attributed.length, transcript).toBeGreaterThan(0.85);

    const whole = LINES.map(({ text }) => text).join(' ');
    expect(wordAccuracy(whole, turns.map(({ text }) => text).join(' '))).toBeGreaterThan(0.8);
    expect(transcript.split('\n')).toHaveLength(turns.length);
    expect(transcript).toMatch(/^speaker-0: /);
    expect(turns.map(({ start }) => start)).toEqual(turns.map(({ start }) => start).toSorted((a, b) => a - b));
    expect(notes.length).toBeGreaterThan(0);
    expect(minutes).not.toBe('');
  });

  it('fails with what is wrong where nobody speaks', { timeout: LIMIT_MS }, async () => {
    expect(await runOf('diarised-minutes', wavOf(new Int16Array(32_000)))).toMatchObject({
      status: 'failed',
      error: { code: 'INVALID_INPUT', stage: 'turns', message: expect.stringContaining('no speech was found') },
    });
  });
});

describe('the embedded model of speakers', () => {
  it('hears each line at its time, from the voice that says it', { timeout: LIMIT_MS }, async () => {
    const heard = await heardIn(dialogue.wav);
    expect(new Set(heard.map(({ label }) => label))).toEqual(new Set(['speaker-0', 'speaker-1']));
    const starts = heard.map(({ span }) => span.startMs);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    heard.forEach(({ span, score }, i) => {
      expect(span.endMs).toBeGreaterThan(span.startMs);
      expect(span.startMs).toBeGreaterThanOrEqual(heard[i - 1]?.span.endMs ?? 0);
      expect(score).toBeGreaterThan(0.5);
      expect(score).toBeLessThanOrEqual(1);
    });
    const shares = dialogue.spans.map(({ start, end }, i) => {
      const [from, to] = [start * 1_000, end * 1_000];
      const ofVoice = heard.filter(({ label }) => label === `speaker-${LINES[i]?.voice}`);
      const shared = ofVoice.map(({ span }) => Math.min(to, span.endMs) - Math.max(from, span.startMs));
      return shared.reduce((sum, ms) => sum + Math.max(0, ms), 0) / (to - from);
    });
    // A line has pauses of its own.
    for (const share of shares) expect(share, JSON.stringify(shares)).toBeGreaterThan(0.7);
  });

  it('hears one speaker where there is one, and none in silence, noise or nothing', { timeout: LIMIT_MS }, async () => {
    const { wav } = await dialogueOf(
      speech,
      LINES.map((line) => ({ ...line, voice: 0 as const })),
    );
    expect(new Set((await heardIn(wav)).map(({ label }) => label))).toEqual(new Set(['speaker-0']));
    let seed = 1;
    const noise = Int16Array.from({ length: 48_000 }, () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return (seed % 2_000) - 1_000;
    });
    for (const samples of [new Int16Array(48_000), noise, new Int16Array(100)]) {
      expect(await heardIn(wavOf(samples))).toEqual([]);
    }
  });

  it('gives the same for the same, and hears two also in a quiet recording', { timeout: LIMIT_MS }, async () => {
    const first = await heardIn(dialogue.wav);
    expect(await heardIn(dialogue.wav)).toEqual(first);
    const quiet = Buffer.from(dialogue.wav);
    for (let at = 44; at + 1 < quiet.length; at += 2) quiet.writeInt16LE(Math.round(quiet.readInt16LE(at) / 8), at);
    expect(new Set((await heardIn(quiet)).map(({ label }) => label)).size).toBe(2);
  });

  it('takes half an hour, and no more', { timeout: 2 * LIMIT_MS }, async () => {
    expect(await heardIn(wavOf(new Int16Array(MOST_SECONDS * 16_000)))).toEqual([]);
    expect(await runOf('speakers-alone', wavOf(new Int16Array((MOST_SECONDS + 1) * 16_000)))).toMatchObject({
      status: 'failed',
      error: { code: 'INVALID_INPUT', message: expect.stringContaining(`longer than ${MOST_SECONDS} s`) },
    });
  });

  it('does with made-up numbers what its parts say', () => {
    const python = path.join(testSettings().MILLRACE_VENV, 'bin', 'python');
    const tests = fileURLToPath(new URL('../fixtures/speakers/test_speakers.py', import.meta.url));
    const model = path.join(RECIPE, 'models', 'speakers', '1');
    const { status, stderr } = spawnSync(python, ['-I', '-B', tests, model], { encoding: 'utf8', timeout: 60_000 });
    expect(stderr).toMatch(/^Ran [1-9]\d* tests/m);
    expect(status, stderr).toBe(0);
  });
});

describe('the times of the embedded Whisper', () => {
  it('leave its text as it is, and are those at which the lines are said', { timeout: LIMIT_MS }, async () => {
    const output = await outputOf('heard-twice', dialogue.wav);
    const { timed, plain, segments } = output as unknown as {
      timed: string;
      plain: string;
      segments: { start: number; end: number; text: string; words: { start: number; end: number; text: string }[] }[];
    };
    expect(timed).toBe(plain);
    expect(wordsOf(segments.map(({ text }) => text).join(' '))).toEqual(wordsOf(plain));
    expect(segments.length).toBeGreaterThanOrEqual(LINES.length);
    const words = segments.flatMap((segment) => segment.words);
    expect(words.map(({ text }) => text).join(' ')).toBe(segments.map(({ text }) => text).join(' '));
    for (const [i, { start, end }] of words.entries()) {
      expect(end).toBeGreaterThanOrEqual(start);
      expect(start).toBeGreaterThanOrEqual((words[i - 1]?.start ?? 0) - 0.01);
    }
    // A word of each line, whose time is known.
    for (const [i, word] of ['budget', 'carpenter', 'painter', 'shelves', 'mayor'].entries()) {
      const { start = 0, end = 0 } = dialogue.spans[i] ?? {};
      const found = words.find(({ text }) => text.toLowerCase().includes(word));
      expect(found?.start, `${word} in ${timed}`).toBeGreaterThan(start - 0.5);
      expect(found?.end, `${word} in ${timed}`).toBeLessThan(end + 0.5);
    }
  });
});
