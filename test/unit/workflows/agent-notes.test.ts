import { describe, expect, it } from 'vitest';
import { lengthOf } from '../../../workflows/interpreter/agent/notes.js';
import { NOTES_BY_WORTH } from '../../../workflows/interpreter/agent/notes-by-worth.js';
import { core, gist, WORTH, worthOf } from '../../../workflows/interpreter/agent/worth.js';

describe('what a sentence is worth', () => {
  it.each([
    ['My number is 48213.', WORTH.particulars],
    ['We meet in Lisbon.', WORTH.particulars],
    ['It goes to Mr. Okafor.', WORTH.particulars],
    ['The file is called "minutes".', WORTH.particulars],
    ['Das Treffen ist am Freitag.', WORTH.particulars],
    ['会议在 3 号楼。', WORTH.particulars],
    ['We use the blue template.', WORTH.statement],
    ['I think that I like it.', WORTH.statement],
    ['Thanks', WORTH.statement],
    ['What did Ada say on 3 May?', WORTH.question],
    ['¿Qué hora es?', WORTH.question],
    ['明天呢？', WORTH.question],
    ['', WORTH.question],
  ])('%s', (text, worth) => {
    expect(worthOf(text)).toBe(worth);
  });

  it('is that of its best', () => {
    expect(worthOf('How are you? I am fine.')).toBe(WORTH.statement);
    expect(worthOf('How are you?\nI am Ada Lovelace\nand you?')).toBe(WORTH.particulars);
  });
});

describe('the gist of a text', () => {
  it('is the text where it fits, on one line', () => {
    expect(gist('One.\n  Two?', 20)).toBe('One. Two?');
  });

  it('keeps sentences with names and numbers, in their order, and says where others were', () => {
    const text =
      'It has been a busy week. My number is 48213. Nobody has complained. We meet in Lisbon. Is that all right?';
    expect(gist(text, 60)).toBe('My number is 48213. … We meet in Lisbon.');
    expect(gist(text, 40)).toBe('My number is 48213.');
    expect(gist(text, text.length - 1).length).toBeLessThan(text.length);
  });

  it('keeps clauses of a sentence that is too long', () => {
    const text = `${'We have talked about it for a very long time now, '.repeat(4)}and the budget is 7,350 euros.`;
    expect(gist(text, 60)).toBe('and the budget is 7,350 euros.');
  });

  it.each([0, 1, 5, 30, 120])('is never longer than asked for (%i)', (most) => {
    const text = `${'x'.repeat(50)} 1. ${'y'.repeat(200)}. What is Z? ${'word, '.repeat(60)}`;
    expect(gist(text, most).length).toBeLessThanOrEqual(Math.max(most, 1));
  });

  it('at its core is what is worth most', () => {
    expect(core('Hello there. My number is 48213. Is that all?')).toBe('My number is 48213.');
    expect(core('Why? Who?')).toBe('Why? Who?');
  });
});

describe('notes that do not all fit', () => {
  const said = (text: string) => `user: ${text}`;
  const fact = said('My number is 48213.');
  const decision = said('We use the blue template.');
  const question = said('What is the time?');
  const answer = 'assistant: It is late.';
  const told = 'assistant: Your order is A-77.';
  const call = 'called pay({"order":"A-77"}) → "paid, with a receipt that was sent to the customer"';
  const all = [fact, decision, question, answer, told, call];
  const within = (characters: number, notes = all) => NOTES_BY_WORTH.within(notes, characters);

  it('are all kept where they fit', () => {
    expect(within(lengthOf(all))).toEqual(all);
  });

  it('lose what is worth least first', () => {
    const orders = new Set<string>();
    for (let characters = lengthOf(all); characters >= 0; characters--) {
      const left = within(characters);
      expect(lengthOf(left)).toBeLessThanOrEqual(characters);
      orders.add(left.map((note) => (note.startsWith('called') ? note.slice(0, 10) : note)).join('|'));
    }
    const paid = 'called pay';
    expect([...orders]).toEqual(
      [
        [fact, decision, question, answer, told, paid],
        [fact, decision, question, told, paid],
        [fact, decision, question, paid],
        [fact, decision, paid],
        [fact, decision],
        [fact],
        [],
      ].map((notes) => notes.join('|')),
    );
  });

  it('lose the oldest of what is worth the same', () => {
    const numbers = Array.from({ length: 5 }, (_, i) => said(`Number ${i} is 4711${i}.`));
    expect(within(lengthOf(numbers) - 1, numbers)).toEqual(numbers.slice(1));
  });

  it('lose courtesies before any of them goes', () => {
    const long = (n: number) =>
      said(`Thank you for your patience with all of this. My number is 4711${n}. It rains again.`);
    const notes = [long(1), long(2), question];
    const room = lengthOf([long(2), said('My number is 47111.'), question]);
    expect(within(room, notes)).toEqual([said('My number is 47111.'), long(2), question]);
  });
});
