import { describe, expect, it } from 'vitest';
import { isTimely } from '../../../../activities/cache/timely.js';
import { fastest } from '../../../support/fastest.js';

describe('a text', () => {
  it.each([
    'What is the weather in Rome?',
    'Who is the current champion?',
    'What did he do 3 days ago?',
    'Wie wird das Wetter morgen?',
    '今日の天気は？',
    "Quel temps fait-il aujourd'hui ?",
    "What's the time?",
    'What is the date, please?',
    'What is the time in Tokyo?',
    'Do you open next Friday?',
    'Is the bank closed this monday?',
    'Does the bus leave in an hour?',
    'How many days until Christmas?',
    'How long is it since he left?',
    'What is on tommorow?',
    'What are the stock prices of Apple?',
    'What are the headlines?',
    'Wie spät ist es?',
    'Was läuft nächste Woche?',
    'Quelle heure est-il ?',
    '¿Qué hora es?',
    'Che tempo fa domani?',
    'Qual é a previsão do tempo?',
    'Какая сегодня погода?',
    '지금 몇 시예요?',
    '現在几点？',
  ])('asks of the time: %s', (text) => {
    expect(isTimely(text)).toBe(true);
  });
  it.each([
    'What is the capital of France?',
    'How do I know a knowing nod?',
    'Who painted Snowdon?',
    'What is the time complexity of quicksort?',
    'What is the date of the battle of Hastings?',
    'How long is the Nile?',
    'How can I lose 3 kg in a month?',
    'How does the stock market work?',
    'What is a sunset?',
    'Is the newspaper free?',
    'Who was the last king of Scotland?',
    'In which year was it built?',
  ])('asks of no time: %s', (text) => {
    expect(isTimely(text)).toBe(false);
  });
  it('looks at both ends of a long text, at once', () => {
    const long = 'a word '.repeat(100_000);
    expect(isTimely(`${long}today?`)).toBe(true);
    expect(isTimely(`Today: ${long}`)).toBe(true);
    expect(fastest(() => isTimely(long), 2)).toBeLessThan(500);
  });
});
