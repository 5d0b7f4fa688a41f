import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approve } from '../../../pipelines/index.js';
import { formSchemaOf } from '../../../pipelines/stages/form.js';

const timeout = '1h';

describe('a form', () => {
  it('has texts, numbers, booleans, choices and lists of choices, with what a person needs to know', () => {
    const form = z.object({
      name: z.string().min(2).max(9).describe('Yours'),
      mail: z.email().optional(),
      day: z.iso.date().optional(),
      seat: z.int().min(1).max(6),
      price: z.number().max(9.5).default(1),
      sure: z.boolean().meta({ title: 'Sure?' }),
      meal: z.enum(['fish', 'rice']),
      bags: z
        .array(z.enum(['small', 'large']))
        .max(2)
        .optional(),
    });
    expect(formSchemaOf(form, 'approve.form')).toEqual({
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 2, maxLength: 9, description: 'Yours' },
        mail: { type: 'string', format: 'email' },
        day: { type: 'string', format: 'date' },
        seat: { type: 'integer', minimum: 1, maximum: 6 },
        price: { type: 'number', maximum: 9.5, default: 1 },
        sure: { type: 'boolean', title: 'Sure?' },
        meal: { type: 'string', enum: ['fish', 'rice'] },
        bags: { type: 'array', items: { type: 'string', enum: ['small', 'large'] }, maxItems: 2 },
      },
      required: ['name', 'seat', 'sure', 'meal'],
    });
  });

  it('has choices with titles', () => {
    const seat = z.union([z.literal('w').meta({ title: 'Window' }), z.literal('a')]);
    const choices = [
      { const: 'w', title: 'Window' },
      { const: 'a', title: 'a' },
    ];
    const form = z.object({
      seat: seat.default('w').meta({ title: 'Seat' }),
      both: z.array(seat).max(2),
      old: z.enum(['x', 'y']).meta({ enumNames: ['The x', 'The y'] }),
    });
    expect(formSchemaOf(form, 'approve.form')).toEqual({
      type: 'object',
      properties: {
        seat: { type: 'string', title: 'Seat', default: 'w', oneOf: choices },
        both: { type: 'array', items: { anyOf: choices }, maxItems: 2 },
        old: { type: 'string', enum: ['x', 'y'], enumNames: ['The x', 'The y'] },
      },
      required: ['both', 'old'],
    });
  });

  it.each<[z.ZodObject, string, RegExp]>([
    [z.object({}), 'approve.form', /has no fields/],
    [z.object({ a: z.object({ b: z.string() }) }), 'approve.form.a', /what a form can ask/],
    [z.object({ a: z.array(z.string()) }), 'approve.form.a', /a list of a z\.enum/],
    [z.object({ a: z.string().regex(/^x/) }), 'approve.form.a', /"pattern"/],
    [z.object({ a: z.number().gt(0) }), 'approve.form.a', /"exclusiveMinimum"/],
    [z.object({ a: z.uuid() }), 'approve.form.a', /has the format "uuid"/],
    [z.object({ a: z.union([z.string(), z.number()]) }), 'approve.form.a', /what a form can ask/],
    [z.object({ a: z.union([z.literal('x'), z.literal(7)]) }), 'approve.form.a', /what a form can ask/],
    [z.object({ a: z.enum(['x', 'y']).meta({ enumNames: ['The x'] }) }), 'approve.form.a', /enumNames/],
    [z.object({ a: z.string().refine((text) => text !== 'no') }), 'approve.form.a', /\.refine\(\)/],
    [z.object({ a: z.string().trim() }), 'approve.form.a', /\.trim\(\)/],
    [z.object({ a: z.string().transform(Number) }), 'approve.form.a', /\.transform\(\)/],
    [z.object({ a: z.coerce.number().optional() }), 'approve.form.a', /z\.coerce/],
    [z.object({ a: z.string(), b: z.string() }).refine(({ a, b }) => a !== b), 'approve.form', /\.refine\(\)/],
  ])('cannot ask everything', (form, field, message) => {
    expect(() => approve({ timeout, form })).toThrow(
      expect.objectContaining({
        code: 'INVALID_PIPELINE',
        details: { fields: [{ field, message: expect.stringMatching(message) }] },
      }),
    );
  });

  it('is filled in by nobody when the time is over', () => {
    const options = { timeout, otherwise: true, form: z.object({ a: z.string() }) };
    expect(() => approve(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_PIPELINE' }));
  });
});
