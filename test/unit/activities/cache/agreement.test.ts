import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../activities/cache/agreement.js';
import { hasHistory, untilMidnight } from '../../../../activities/cache/freshness.js';
import { isTimely } from '../../../../activities/cache/timely.js';

const none = async () => 0;
const close = async () => 0.95;

describe('two answers', () => {
  it('agree by their text up to case, spaces and marks', async () => {
    expect(await agrees({ text: 'Paris.' }, { text: ' paris' }, undefined, close)).toBe(true);
    expect(await agrees({ text: 'Paris' }, { text: 'It is Paris' }, undefined, close)).toBe(false);
  });
  it('agree by fields that are equal', async () => {
    const rule = { by: 'fields', fields: ['label'] } as const;
    expect(await agrees({ label: { a: [1] }, why: 'x' }, { label: { a: [1] }, why: 'y' }, rule, none)).toBe(true);
    expect(await agrees({ label: 'a' }, { label: 'b' }, rule, none)).toBe(false);
  });
  it('agree by similarity only with the same numbers', async () => {
    const rule = { by: 'similarity', atLeast: 0.9 } as const;
    expect(await agrees({ text: 'It has 300 m.' }, { text: '300 m' }, rule, close)).toBe(true);
    expect(await agrees({ text: 'It has 330 m.' }, { text: '300 m' }, rule, close)).toBe(false);
    expect(await agrees({ text: 'Yes.' }, { text: 'No.' }, rule, none)).toBe(false);
  });
});

describe('freshness', () => {
  it.each([
    'What is the weather in Rome?',
    'Who is the current champion?',
    'What did he do 3 days ago?',
    'Wie wird das Wetter morgen?',
    '今日の天気は？',
    "Quel temps fait-il aujourd'hui ?",
  ])('asks of the time: %s', (text) => {
    expect(isTimely(text)).toBe(true);
  });
  it.each(['What is the capital of France?', 'How do I know a knowing nod?', 'Who painted Snowdon?'])(
    'asks of no time: %s',
    (text) => {
      expect(isTimely(text)).toBe(false);
    },
  );
  it('ends with the day of a zone, also when the clocks change', () => {
    expect(untilMidnight('Europe/Berlin', Date.UTC(2026, 5, 1, 20))).toBe(2 * 3_600_000);
    expect(untilMidnight('Europe/Berlin', Date.UTC(2026, 9, 24, 22))).toBe(25 * 3_600_000);
    expect(untilMidnight('Europe/Berlin', Date.UTC(2026, 2, 28, 23))).toBe(23 * 3_600_000);
    expect(untilMidnight('Asia/Kolkata', Date.UTC(2026, 0, 1, 18, 29))).toBe(60_000);
  });
  it('finds a conversation in the inputs', () => {
    expect(hasHistory({ with: {}, input: { messages: [{ role: 'user', content: 'hi' }] } })).toBe(true);
    expect(hasHistory({ with: {}, input: { messages: [{ role: 'system', content: 'hi' }] } })).toBe(false);
    expect(hasHistory({ with: { system: 'x' }, input: {} })).toBe(false);
  });
});
