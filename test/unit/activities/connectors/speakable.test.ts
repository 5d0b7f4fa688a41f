import { describe, expect, it } from 'vitest';
import { speakable } from '../../../../activities/connectors/speakable.js';
import { fastest } from '../../../support/fastest.js';

const words = (text: string): string => text.replace(/\s+/g, '');

describe('passages to speak', () => {
  it.each(['', '   ', '\n\t\n'])('has none for %j', (text) => {
    expect(speakable(text)).toEqual([]);
  });

  it.each(['---', '***\n```', '|---|---|', '…', '€'])('leaves %j, which is marks alone, to the voice', (text) => {
    expect(speakable(text)).toEqual([text]);
  });

  it('leaves out one that is marks alone', () => {
    const sentence = `${'word '.repeat(79)}end.`; // 399 characters
    expect(speakable(`${sentence}\n${'-'.repeat(390)}\n${sentence}`)).toEqual([sentence, sentence]);
  });

  it('leaves a short text as it is', () => {
    expect(speakable(' Hello there. How are you? ')).toEqual(['Hello there. How are you?']);
  });

  it('joins whole sentences as far as they fit', () => {
    const sentence = `${'word '.repeat(29)}end.`; // 149 characters
    expect(speakable(Array(5).fill(sentence).join(' '))).toEqual([
      `${sentence} ${sentence}`,
      `${sentence} ${sentence}`,
      sentence,
    ]);
  });

  it('ends a sentence behind its closing quote', () => {
    const quoted = `He said: “${'very '.repeat(60)}well.”`;
    expect(speakable(`${quoted} ${quoted}`)).toEqual([quoted, quoted]);
  });

  it.each([
    ['Chinese', '今天的天气很好，我们一起去公园散步吧。'],
    ['Japanese', '今日はとても良い天気なので、公園へ行きましょう！'],
    ['Hindi', 'आज मौसम बहुत अच्छा है, हम पार्क चलते हैं।'],
    ['Arabic', 'هل تأتي معنا إلى الحديقة، أم تبقى في البيت؟'],
    ['Urdu', 'آج موسم بہت اچھا ہے، ہم باغ میں چلتے ہیں۔'],
  ])('ends no passage within a sentence: %s', (name, sentence) => {
    const between = ['Chinese', 'Japanese'].includes(name) ? '' : ' ';
    const text = Array(60).fill(sentence).join(between);
    const passages = speakable(text);
    expect(passages.length).toBeLessThan(12);
    for (const passage of passages) expect(passage.split(sentence).join('').trim()).toBe('');
    expect(passages.join(between)).toBe(text);
  });

  it('splits a long sentence of a script without spaces at clauses, a long clause between words', () => {
    const clause = `${'我们一起去公园散步'.repeat(30)}，`;
    expect(speakable(`${clause}${clause}好。`)).toEqual([clause, `${clause}好。`]);
    const passages = speakable('プログラム'.repeat(200));
    expect(passages.join('')).toBe('プログラム'.repeat(200));
    expect(passages.length).toBe(3);
    const letters = `a${'𝐀'.repeat(900)}`;
    expect(speakable(letters).join('')).toBe(letters);
    for (const passage of speakable(letters)) expect(passage).not.toMatch(/\p{Cs}/u);
  });

  it('splits a long sentence at clauses, a long clause between words, a long word anywhere', () => {
    const clause = `${'so '.repeat(80)}on,`;
    expect(speakable(`${clause} ${clause} ${clause}`)).toEqual([clause, clause, clause]);
    expect(speakable('ja '.repeat(300)).every((passage) => /^(ja ?)+$/.test(passage))).toBe(true);
    expect(speakable('🎧'.repeat(500)).join('')).toBe('🎧'.repeat(500));
  });

  it.each(['🇩🇪', '👩‍👩‍👧‍👦', '👍🏽'])('splits no %s', (emoji) => {
    // Wherever the limit lies in it.
    for (let before = 0; before < emoji.length; before++) {
      const text = `${'*'.repeat(before)}${emoji.repeat(200)}`;
      const passages = speakable(text);
      expect(passages.join('')).toBe(text);
      for (const passage of passages) expect(passage.replaceAll('*', '').replaceAll(emoji, ''), `${before}`).toBe('');
    }
  });

  it.each([
    ['spaces', ' '.repeat(200_000)],
    ['line breaks', '\n'.repeat(200_000)],
    ['quotes', '"'.repeat(200_000)],
    ['quotes and spaces', '"" '.repeat(70_000)],
  ])('takes no time that grows with the square of the text: %s', (_, many) => {
    // Some 30 ms; the square took more than ten seconds.
    expect(fastest(() => speakable(`a${many}b`), 3)).toBeLessThan(1_000);
  });

  it.each([
    'No end of sentence '.repeat(200),
    'Dr. Who? Yes! '.repeat(200),
    'x'.repeat(5_000),
    `${'line\n'.repeat(500)}`,
    '日本語の文です。'.repeat(200),
  ])('never exceeds 400 characters nor loses any: %.20s', (text) => {
    const passages = speakable(text);
    for (const passage of passages) expect(passage.length).toBeLessThanOrEqual(400);
    expect(words(passages.join(''))).toBe(words(text));
  });
});
