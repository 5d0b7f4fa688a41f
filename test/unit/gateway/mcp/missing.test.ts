import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { declines, formsOfMissing, withFields } from '../../../../gateway/mcp/missing.js';
import { toolsOf } from '../../../../gateway/mcp/tool.js';
import { audio, pipeline } from '../../../../pipelines/index.js';

const of = (input: z.ZodObject) => {
  const [tool] = toolsOf([pipeline('place-order', { input }, () => ({ done: true })) as never]).values();
  if (tool === undefined) throw new Error('there is no tool');
  return tool;
};
const address = z.object({ street: z.string().max(80), city: z.string().optional() });
const order = of(
  z.object({
    item: z.string(),
    gift: z.boolean(),
    to: address.describe('Where it goes'),
    note: z.string().optional(),
  }),
);

describe('what a call lacks', () => {
  it('is asked by a form for texts, numbers and booleans, and by one for each object of them', () => {
    expect(formsOfMissing(order, {})).toEqual({
      to: {
        method: 'elicitation/create',
        params: {
          mode: 'form',
          message: 'place_order needs to: Where it goes',
          requestedSchema: {
            type: 'object',
            properties: { street: { type: 'string', maxLength: 80 }, city: { type: 'string' } },
            required: ['street'],
          },
        },
      },
      fields: {
        method: 'elicitation/create',
        params: {
          mode: 'form',
          message: 'place_order needs item, gift',
          requestedSchema: {
            type: 'object',
            properties: { item: { type: 'string' }, gift: { type: 'boolean' } },
            required: ['item', 'gift'],
          },
        },
      },
    });
    expect(formsOfMissing(order, { item: 'pen', gift: false, to: { street: 'Low Lane' } })).toBeUndefined();
  });

  it.each([
    ['a list', { tags: z.array(z.string()) }],
    ['media', { speech: audio() }],
    ['an object of objects', { deep: z.object({ to: address }) }],
    ['an object with the key of the other form', { fields: address }],
  ])('is not asked where a form cannot ask it: %s', (_, shape) => {
    expect(formsOfMissing(of(z.object({ name: z.string(), ...shape })), {})).toBeUndefined();
  });

  it('is filled in from the answers to its forms; what was given stays, and other answers are ignored', () => {
    const given = { gift: true };
    const forms = formsOfMissing(order, given) ?? {};
    const answers = {
      fields: { action: 'accept', content: { item: 'pen', gift: false } },
      to: { action: 'accept', content: { street: 'Low Lane' } },
      unknown: { action: 'accept', content: { note: 'x' } },
    };
    expect(withFields(answers, forms, given)).toEqual({ item: 'pen', gift: true, to: { street: 'Low Lane' } });
    expect(withFields({ fields: 7, to: { action: 'accept', content: 'x' } }, forms, given)).toEqual(given);
    expect(declines(answers, forms)).toBe(false);
    expect(declines({ ...answers, to: { action: 'cancel' } }, forms)).toBe(true);
    expect(declines({ unknown: { action: 'decline' } }, forms)).toBe(false);
  });
});
