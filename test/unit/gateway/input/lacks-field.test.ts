import { expect, it } from 'vitest';
import { z } from 'zod';
import { lacksField } from '../../../../gateway/input/lacks-field.js';

const message = { role: z.string(), content: z.string() };
const strict = z.strictObject(message);
const thinking = z.strictObject({ ...message, reasoning: z.string().optional() });

const lacks = (history: z.ZodType): boolean =>
  lacksField(z.object({ history: history.optional() }), ['history', '0'], 'reasoning');

it.each<[string, z.ZodType]>([
  ['strict objects', z.array(strict)],
  ['objects that drop what they do not know', z.array(z.object(message))],
  ['texts or strict objects', z.array(z.union([z.string(), strict]).nullable())],
  ['strict objects that are converted', z.array(strict.transform(({ content }) => content))],
  ['a list that is converted', z.array(strict).transform((all) => all.slice(-20))],
])('an item cannot have a field that its schema does not have: %s', (_, history) => {
  expect(lacks(history)).toBe(true);
});

it.each<[string, z.ZodType]>([
  ['objects with it', z.array(thinking)],
  ['one of two kinds of objects with it', z.array(z.union([strict, thinking]))],
  ['objects with any further fields', z.array(z.looseObject(message))],
  ['objects with further texts', z.array(z.object(message).catchall(z.string()))],
  ['any JSON', z.array(z.json())],
  ['records', z.array(z.record(z.string(), z.string()))],
  ['a list of anything', z.array(z.any())],
  ['anything', z.any()],
])('an item may have it: %s', (_, history) => {
  expect(lacks(history)).toBe(false);
});
