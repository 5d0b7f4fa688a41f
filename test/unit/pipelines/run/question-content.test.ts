import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../pipelines/json.js';
import { misfitOfContent } from '../../../../pipelines/run/question-content.js';

const schema: JsonObject = {
  type: 'object',
  properties: {
    seat: { type: 'integer', minimum: 1, maximum: 6 },
    price: { type: 'number', maximum: 9.5 },
    sure: { type: 'boolean' },
    name: { type: 'string', minLength: 2, maxLength: 4 },
    mail: { type: 'string', format: 'email' },
    site: { type: 'string', format: 'uri' },
    day: { type: 'string', format: 'date' },
    at: { type: 'string', format: 'date-time' },
    meal: { type: 'string', enum: ['fish', 'rice'] },
    class: { type: 'string', oneOf: [{ const: 'one', title: 'First' }] },
    bags: { type: 'array', items: { type: 'string', enum: ['small', 'large'] }, minItems: 1, maxItems: 2 },
    extras: { type: 'array', items: { anyOf: [{ const: 'wifi', title: 'Wi-Fi' }] } },
  },
  required: ['seat'],
};

describe('the content of an answer', () => {
  it.each<[JsonObject]>([
    [{ seat: 6 }],
    [{ seat: 1, price: 9.5, sure: false, name: '𝒜da', mail: 'ada@mill.example', site: 'https://mill.example/a' }],
    [{ seat: 1, day: '2028-02-29', at: '2026-11-28T04:05:06Z', meal: 'rice', class: 'one' }],
    [{ seat: 1, at: '2026-11-28T04:05:06.5+01:00', bags: ['small', 'large'], extras: [] }],
  ])('fits: %j', (content) => {
    expect(misfitOfContent(schema, content)).toBeUndefined();
  });

  it.each<[JsonObject, string, RegExp]>([
    [{}, 'content.seat', /is missing/],
    [{ seat: 1, sead: 2 }, 'content.sead', /is not a field of the question \(its fields: seat, price/],
    [{ seat: 1, toString: 'x' }, 'content.toString', /is not a field/],
    [{ seat: '1' }, 'content.seat', /must be a number/],
    [{ seat: 1.5 }, 'content.seat', /must be an integer/],
    [{ seat: 0 }, 'content.seat', /must be 1 or more/],
    [{ seat: 7 }, 'content.seat', /must be 6 or less/],
    [{ seat: 1, price: 9.6 }, 'content.price', /must be 9.5 or less/],
    [{ seat: 1, sure: 'yes' }, 'content.sure', /must be true or false/],
    [{ seat: 1, name: 'A' }, 'content.name', /2 characters or more/],
    [{ seat: 1, name: 'Grace' }, 'content.name', /4 characters or less/],
    [{ seat: 1, name: 4 }, 'content.name', /must be a text/],
    [{ seat: 1, mail: 'ada' }, 'content.mail', /must be of the format email/],
    [{ seat: 1, site: 'mill.example' }, 'content.site', /must be of the format uri/],
    [{ seat: 1, day: '2026-02-30' }, 'content.day', /must be of the format date/],
    [{ seat: 1, at: '2026-11-28' }, 'content.at', /must be of the format date-time/],
    [{ seat: 1, meal: 'meat' }, 'content.meal', /must be one of fish, rice/],
    [{ seat: 1, class: 'First' }, 'content.class', /must be one of one/],
    [{ seat: 1, bags: 'small' }, 'content.bags', /must be a list of small, large/],
    [{ seat: 1, bags: ['huge'] }, 'content.bags', /must be a list of small, large/],
    [{ seat: 1, bags: [] }, 'content.bags', /must have 1 or more/],
    [{ seat: 1, bags: ['small', 'small', 'small'] }, 'content.bags', /must have 2 or less/],
    [{ seat: 1, extras: ['Wi-Fi'] }, 'content.extras', /must be a list of wifi/],
  ])('does not fit: %j', (content, field, message) => {
    expect(misfitOfContent(schema, content)).toEqual({ field, message: expect.stringMatching(message) });
  });
});
