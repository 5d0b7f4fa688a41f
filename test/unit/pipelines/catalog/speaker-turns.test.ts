import { describe, expect, it } from 'vitest';
import { diarisedMinutes } from '../../../../pipelines/catalog/index.js';
import {
  type Heard,
  partsFor,
  type Segment,
  speakersOf,
  transcriptOf,
  turnsOf,
} from '../../../../pipelines/catalog/speaker-turns.js';
import { testPipeline } from '../../../../testing/index.js';

/** Who was heard, in seconds. */
const heard = (...spans: readonly (readonly [start: number, end: number, speaker: string])[]): Heard[] =>
  spans.map(([start, end, label]) => ({ label, span: { startMs: start * 1_000, endMs: end * 1_000 } }));
const said = (start: number, end: number, text: string): Segment => ({ start, end, text });
/** A segment whose words last half a second each. */
const worded = (start: number, text: string): Segment => {
  const words = text.split(' ').map((word, i) => ({ start: start + i / 2, end: start + (i + 1) / 2, text: word }));
  return { start, end: start + words.length / 2, text, words };
};

describe('turns', () => {
  it('have the speaker that was heard longest during a segment', () => {
    const spans = heard([0, 4, 'ann'], [4, 9, 'bob']);
    expect(turnsOf([said(0, 3, 'Hello.'), said(3, 6, 'Good morning.')], spans)).toEqual([
      { start: 0, end: 3, speaker: 'ann', text: 'Hello.' },
      { start: 3, end: 6, speaker: 'bob', text: 'Good morning.' },
    ]);
    // Several spans of one speaker count together.
    expect(turnsOf([said(0, 10, 'x')], heard([0, 2, 'ann'], [2, 5, 'bob'], [5, 7, 'ann']))).toMatchObject([
      { speaker: 'ann' },
    ]);
  });

  it('join what one speaker says in a row', () => {
    expect(turnsOf([said(0, 1, 'One,'), said(1, 2, 'two.'), said(5, 6, 'Three.')], heard([0, 8, 'ann']))).toEqual([
      { start: 0, end: 6, speaker: 'ann', text: 'One, two. Three.' },
    ]);
  });

  it('have no speaker where nobody was heard', () => {
    const turns = turnsOf([said(0, 1, 'Hello.'), said(10, 11, 'Music.'), said(20, 21, 'Bye.')], heard([0, 2, 'ann']));
    expect(turns).toEqual([
      { start: 0, end: 1, speaker: 'ann', text: 'Hello.' },
      { start: 10, end: 21, text: 'Music. Bye.' },
    ]);
    expect(turnsOf([worded(0, 'Is anybody there?')], [])).toEqual([{ start: 0, end: 1.5, text: 'Is anybody there?' }]);
  });

  it('cut a segment where the speaker of its words changes', () => {
    const turns = turnsOf([worded(0, 'Are you ready? Yes, I am.')], heard([0, 1.6, 'ann'], [1.6, 3, 'bob']));
    expect(turns).toEqual([
      { start: 0, end: 1.5, speaker: 'ann', text: 'Are you ready?' },
      { start: 1.5, end: 3, speaker: 'bob', text: 'Yes, I am.' },
    ]);
  });

  it('give a word in a pause to the speaker before it, and one at the beginning to the next', () => {
    const spans = heard([0.6, 1, 'ann'], [2, 3, 'bob']);
    const turns = turnsOf([worded(0, 'So we begin now with this.')], spans);
    expect(turns.map(({ speaker, text }) => [speaker, text])).toEqual([
      ['ann', 'So we begin now'],
      ['bob', 'with this.'],
    ]);
  });

  it('take words without a length, segments in any order, and languages without spaces', () => {
    const spans = heard([0, 1, 'ann'], [1, 2, 'bob']);
    const dot = { start: 1.5, end: 1.5, text: 'Oh.' };
    expect(turnsOf([dot, said(0, 1, 'Look!')], spans).map(({ speaker }) => speaker)).toEqual(['ann', 'bob']);
    const words = ['你', '好', '早', '安'].map((text, i) => ({ start: i / 2, end: (i + 1) / 2, text }));
    expect(turnsOf([{ start: 0, end: 2, text: '你好早安', words }], spans).map(({ text }) => text)).toEqual([
      '你好',
      '早安',
    ]);
  });

  it('are found where speakers talk at the same time: a long span is not lost behind a short one', () => {
    const spans = heard([0, 10, 'ann'], [2, 3, 'bob']);
    expect(turnsOf([said(0, 1, 'a'), said(5, 6, 'b')], spans)).toEqual([
      { start: 0, end: 6, speaker: 'ann', text: 'a b' },
    ]);
  });

  it('of an hour take no longer than they must', () => {
    const segments = Array.from({ length: 9_000 }, (_, i) => said(i * 0.4, i * 0.4 + 0.3, `w${i}`));
    const spans = Array.from({ length: 9_000 }, (_, i) => [i * 0.4, i * 0.4 + 0.4, `s${i % 2}`] as const);
    expect(turnsOf(segments, heard(...spans))).toHaveLength(9_000);
  });
});

it('speakers are listed in the order in which they begin, with their time', () => {
  const spans = [...heard([3, 4.25, 'bob'], [0, 2, 'ann'], [5, 6, 'ann']), { label: 'nobody' }];
  expect(speakersOf(spans)).toEqual([
    { speaker: 'ann', seconds: 3 },
    { speaker: 'bob', seconds: 1.3 },
  ]);
});

it('a transcript has a line for each turn, and its parts are no longer than asked', () => {
  const turns = [
    { start: 0, end: 1, speaker: 'ann', text: 'one two three four' },
    { start: 1, end: 2, text: 'five' },
  ];
  expect(transcriptOf(turns)).toBe('ann: one two three four\nunknown: five');
  expect(partsFor(turns, 100)).toEqual(['ann: one two three four\nunknown: five']);
  expect(partsFor(turns, 18)).toEqual(['ann: one two three', 'ann: four', 'unknown: five']);
  const long = 'a'.repeat(50);
  expect(partsFor([{ start: 0, end: 1, speaker: 'ann', text: long }], 10)).toEqual([`ann: ${long}`]);
  expect(partsFor([], 10)).toEqual([]);
});

describe('diarised-minutes', () => {
  const recording = {
    uri: `artifact://default/${'a'.repeat(64)}`,
    sha256: 'a'.repeat(64),
    mime: 'audio/wav',
    bytes: 44,
  };
  const run = (transcribe: object, detections: object[]) =>
    testPipeline(
      diarisedMinutes,
      { recording },
      {
        stages: {
          transcribe: transcribe as never,
          speakers: { detections: detections as never },
          note: ({ prompt }) => ({ text: `noted ${String(prompt).length}` }),
          minutes: ({ prompt }) => ({ text: String(prompt) }),
        },
      },
    );

  it('joins what the two models say, and writes notes and minutes of it', async () => {
    const detections = [
      { label: 'speaker-0', score: 0.9, span: { startMs: 0, endMs: 2_000 } },
      { label: 'speaker-1', score: 0.8, span: { startMs: 2_000, endMs: 4_000 } },
    ];
    const segments = [worded(0, 'Shall we begin?'), worded(2, 'Yes, please.')];
    const { output } = await run({ text: 'Shall we begin? Yes, please.', segments }, detections);
    expect(output).toMatchObject({
      speakers: [
        { speaker: 'speaker-0', seconds: 2 },
        { speaker: 'speaker-1', seconds: 2 },
      ],
      turns: [
        { start: 0, end: 1.5, speaker: 'speaker-0', text: 'Shall we begin?' },
        { start: 2, end: 3, speaker: 'speaker-1', text: 'Yes, please.' },
      ],
      transcript: 'speaker-0: Shall we begin?\nspeaker-1: Yes, please.',
      notes: [expect.stringMatching(/^noted \d+$/)],
      minutes: expect.stringMatching(/^- noted \d+$/),
    });
  });

  it.each<[string, object, string, string]>([
    ['nothing is said', { text: '', segments: [] }, 'INVALID_INPUT', 'no speech was found'],
    ['the recogniser gives no times', { text: 'Hello.' }, 'CAPABILITY_MISSING', 'no segments with times'],
  ])('fails where %s', async (_, transcribe, code, message) => {
    const { status, error } = await run(transcribe, []);
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  });
});
