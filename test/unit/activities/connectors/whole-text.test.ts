import { expect, it } from 'vitest';
import { GrowingText } from '../../../../activities/connectors/growing-text.js';
import { WholeText } from '../../../../activities/connectors/whole-text.js';

it('what is new is told once, and nothing while a response changes what was told', () => {
  const text = new WholeText();
  const told = ['Hello', 'Hello', 'Hello wor', 'Hollow', 'Hello world'].map((all) => text.next(all));
  expect([...told, text.last('Hello world.')]).toEqual(['Hello', '', ' wor', '', 'ld', '.']);
});

it('a character of which the rest is still to come is held back', () => {
  const text = new WholeText();
  const told = ['Hi \ufffd', 'Hi \ufffd\ufffd', 'Hi 👋', 'Hi 👋 \ufffd'].map((all) => text.next(all));
  expect([...told, text.last('Hi 👋 \ufffd')]).toEqual(['Hi ', '', '👋', ' ', '\ufffd']);
});

it('a transcript is told as it grows; its last character too, whatever it is', () => {
  const told: string[] = [];
  const growing = new GrowingText('One.', (more) => void told.push(more));
  growing.is('Two \ufffd');
  growing.is(' Two é');
  expect(growing.ends('Two é \ufffd')).toBe(' Two é \ufffd');
  expect(told).toEqual([' Two ', 'é', ' \ufffd']);
  new GrowingText('One.', (more) => void told.push(more)).ends(' ');
  expect(told.at(-1), 'a sign of life').toBe('');
});
