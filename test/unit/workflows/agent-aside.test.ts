import { describe, expect, it } from 'vitest';
import { asideOf, recalled } from '../../../workflows/interpreter/agent/aside.js';
import { hasAside, readSummary, summaryText } from '../../../workflows/interpreter/agent/notes.js';

const aside = (...sentences: string[]) => sentences.map((sentence) => `user: ${sentence}`);

describe('what is set aside', () => {
  it('is what the user said and no note has', () => {
    const said = [
      'user: The blue one is ours. It rains.',
      'assistant: I have noted it.',
      'called pay({})',
      'user: Is it?',
    ];
    expect(asideOf(said, ['user: It rains.'])).toEqual(aside('The blue one is ours.'));
  });

  it('is there once, however often it was said', () => {
    expect(asideOf(['user: We take the train.', 'user: We take the train.'], [])).toEqual(aside('We take the train.'));
  });

  it('is bounded: what is worth least goes first, the oldest of it first', () => {
    const letters = (i: number) => i.toString(2).replaceAll('0', 'a').replaceAll('1', 'b');
    const idle = Array.from({ length: 400 }, (_, i) => `user: nothing much happened on our way to ${letters(i)}.`);
    const kept = asideOf(['user: My number is 4711.', ...idle], []);
    expect(kept.length).toBeGreaterThan(100);
    expect(kept.at(-1)).toBe(idle.at(-1));
    expect(kept).not.toContain(idle[0]);
    expect(kept.join('\n').length).toBeLessThanOrEqual(8_192);
    expect(kept).toContain('user: My number is 4711.');
  });

  it('stands in the summary and is told from the notes, also where the model writes such lines', () => {
    const summary = { text: 'They talked.\n◦ of this', notes: ['user: a'], aside: aside('b') };
    const text = summaryText(summary);
    expect(hasAside(text)).toBe(true);
    expect(readSummary(text)).toEqual({ ...summary, text: 'They talked.\n- of this' });
    expect(hasAside(summaryText({ ...summary, aside: [] }))).toBe(false);
  });
});

describe('what a prompt asks about', () => {
  const TALK = [
    [
      'en',
      'What am I not allowed to eat?',
      'My doctor says that I am not allowed to eat nuts.',
      'The parking space is behind the house.',
      'The printer jams each morning.',
    ],
    [
      'en',
      'when do the painters start?',
      'The painters can start as soon as the walls are dry.',
      'It was a long week for all of us.',
      'The start was slow.',
    ],
    [
      'de',
      'Welche Farbe soll die Einladung haben?',
      'Die Einladung soll in einem warmen Gelb gedruckt werden.',
      'Das Wetter war leider wieder schlecht.',
      'Die Kantine hatte heute zu.',
    ],
    [
      'fr',
      'Qui arrose les plantes pendant les vacances ?',
      'La voisine du dessous arrose les plantes pendant nos vacances.',
      'Le train avait encore du retard.',
      'La machine est en panne.',
    ],
    ['zh', '会议用什么语言？', '我们决定会议用法语进行。', '今天天气很好。', '打印机又坏了。'],
    ['ja', '猫の餌は何ですか。', '猫の餌は魚だけにしてください。', '昨日は忙しかったです。', '電車が遅れました。'],
    [
      'ko',
      '선물은 누구에게 보내나요?',
      '선물은 막내 이모에게 보내기로 했어요.',
      '오늘은 날씨가 흐려요.',
      '회의가 길었어요.',
    ],
    ['hi', 'मेहमान क्या नहीं खाते?', 'मेहमान प्याज नहीं खाते।', 'आज मौसम ठंडा है।', 'प्रिंटर खराब है।'],
  ] as const;

  it.each(TALK)('is sent again (%s: %s)', (_, asks, fact, ...others) => {
    expect(recalled(aside(others[0], fact, others[1]), asks)[0]).toBe(`user: ${fact}`);
  });

  it('is nothing where no word is shared', () => {
    expect(recalled(aside('The walls are dry.'), 'Hello!')).toEqual([]);
    expect(recalled([], 'Hello!')).toEqual([]);
  });

  it('is bounded, whatever the prompt', () => {
    const many = Array.from({ length: 100 }, (_, i) => `user: the same words again and again, number ${i}`);
    const sent = recalled(many, 'the same words again and again '.repeat(10_000));
    expect(sent.length).toBeLessThanOrEqual(4);
    expect(sent.join('\n').length).toBeLessThanOrEqual(480);
    expect(recalled([`user: ${'long '.repeat(400)}`], 'long')).toEqual([]);
  });
});
