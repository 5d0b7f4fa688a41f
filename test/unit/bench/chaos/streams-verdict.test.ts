import { describe, expect, it } from 'vitest';
import { type Evidence, judge, type Verdict } from '../../../../bench/streams-chaos/verdict.js';

type Chunk = Evidence['chunks'][number];
const samples = ['aaaa', 'bbbb', 'cccc'].map((text) => Buffer.from(text));
const texts = ['One.', ' Two.', ' Three.'];

const called = (...times: number[]) => times.map((at) => ({ at, port: 40_000 }));

const evidence = (more: Partial<Evidence> = {}): Evidence => ({
  killedAt: 2_500,
  reply: 'One. Two. Three.\n',
  sentences: texts.map((text, i) => ({ text, at: 1_000 * (i + 1) })),
  answeredAt: 3_100,
  isClosed: true,
  chunks: texts.map((text, i) => ({ text, samples: samples[i] as Buffer, at: 1_000 * (i + 2) })),
  expected: samples,
  final: Buffer.concat(samples),
  heard: Buffer.concat(samples),
  heardAt: [2_100, 3_100, 4_600],
  llmCalls: called(500, 2_900),
  voiceCalls: [called(1_500), called(2_500, 2_800), called(3_500)],
  ...more,
});
const GOOD = {
  lostSentences: 0,
  twice: 0,
  prefixBroken: false,
  repeatedCalls: 0,
  textDiffers: false,
  givenUp: false,
  resumeMs: 500,
  longestGapMs: 1_500,
};

const late = (text: string, lateMs: number, ...times: number[]) => ({ text, lateMs, calls: called(...times) });

describe('the verdict on a story with a kill', () => {
  it('is good where everything is there once', () => {
    expect(judge(evidence())).toEqual(GOOD);
    // Two equal sentences have equal samples.
    const same = [samples[0], samples[0], samples[2]] as Buffer[];
    expect(judge(evidence({ expected: same, final: Buffer.concat(same), heard: Buffer.concat(same) }))).toEqual(GOOD);
    // The calls of two equal sentences cannot be told apart.
    const twoCalls = called(1_500, 2_500);
    const chunks = ['One.', ' One.', ' Three.'].map((text, i) => ({ ...(evidence().chunks[i] as Chunk), text }));
    const sentences = chunks.map(({ text }, i) => ({ text, at: 1_000 * (i + 1) }));
    const repeated = { reply: 'One. One. Three.', chunks, sentences, voiceCalls: [twoCalls, twoCalls, called(3_500)] };
    expect(judge(evidence(repeated))).toEqual(GOOD);
  });

  it.each<[string, Partial<Evidence>, Partial<Verdict>]>([
    ['a lost sentence', { final: Buffer.from('aaaacccc'), heard: Buffer.from('aaaacccc') }, { lostSentences: 1 }],
    [
      'one said twice',
      { final: Buffer.from('aaaabbbbbbbbcccc'), heard: Buffer.from('aaaabbbbbbbbcccc') },
      { twice: 1 },
    ],
    ['a listener that was cut off', { heard: Buffer.from('aaaabb') }, { prefixBroken: true }],
    ['a listener that heard something else', { heard: Buffer.from('aaaaxxxxcccc') }, { prefixBroken: true }],
    [
      'an answer that was asked for again',
      { llmCalls: called(500, 3_200) },
      { repeatedCalls: 1, late: [late('the question', 100, 500, 3_200)] },
    ],
    [
      'a sentence that was spoken again',
      { voiceCalls: [called(1_500, 2_001), [], []] },
      { repeatedCalls: 1, late: [late('One.', 1, 1_500, 2_001)] },
    ],
    ['another text', { reply: 'One. Two. Four.' }, { textDiffers: true }],
    ['a channel that was given up', { isClosed: false, reply: 'One. Two. Three. Four.' }, { givenUp: true }],
    [
      'another text than in a channel that was given up',
      { isClosed: false, reply: 'One.' },
      { givenUp: true, textDiffers: true },
    ],
  ])('sees %s', (_, more, bad) => {
    expect(judge(evidence(more))).toEqual({ ...GOOD, ...bad });
  });

  it('counts what no kill preceded as no resumption', () => {
    expect(judge(evidence({ killedAt: undefined })).resumeMs).toBeUndefined();
  });
});
