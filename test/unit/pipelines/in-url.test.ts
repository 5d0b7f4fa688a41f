import { expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { mayBeList, whyNotInUrl } from '../../../pipelines/tools/in-url.js';

const TEXT = { type: 'string' };
const TEXTS = { type: 'array', items: TEXT };
const OBJECT = { type: 'object' };

it.each<[string, Json | undefined, string | undefined, string | undefined]>([
  ['a text', TEXT, undefined, undefined],
  ['anything', {}, undefined, undefined],
  ['no schema', undefined, undefined, undefined],
  ['an object', OBJECT, 'is an object', 'is an object'],
  ['properties', { properties: { a: TEXT } }, 'is an object', 'is an object'],
  ['a list', TEXTS, undefined, 'is a list'],
  ['a list of objects', { type: 'array', items: OBJECT }, 'is a list of objects or lists', 'is a list'],
  ['a list of texts or objects', { items: { anyOf: [TEXT, OBJECT] } }, undefined, 'is a list'],
  ['a text or an object', { anyOf: [OBJECT, TEXT] }, undefined, undefined],
  ['a text or a list', { oneOf: [TEXTS, TEXT] }, undefined, undefined],
  ['either of two objects', { oneOf: [OBJECT, OBJECT] }, 'is an object', 'is an object'],
  ['types', { type: ['object', 'string'] }, undefined, undefined],
  ['an intersection', { allOf: [{}, OBJECT] }, 'is an object', 'is an object'],
  ['a reference', { $ref: '#/$defs/a~1b' }, 'is an object', 'is an object'],
  ['a reference in a union', { anyOf: [{ $ref: '#/$defs/a~1b' }, TEXT] }, undefined, undefined],
  ['a reference to nothing', { $ref: '#/$defs/none' }, undefined, undefined],
  ['a reference to itself', { $ref: '#/$defs/loop' }, undefined, undefined],
])('%s has a form in a URL, or has none', (_, schema, inQuery, inPath) => {
  const root: JsonObject = { $defs: { 'a/b': OBJECT, loop: { anyOf: [{ $ref: '#/$defs/loop' }, {}] } } };
  expect(whyNotInUrl(schema, 'query', root)).toBe(inQuery);
  expect(whyNotInUrl(schema, 'path', root)).toBe(inPath);
});

it('may be a list where one of several is', () => {
  expect(mayBeList({ anyOf: [TEXT, { allOf: [TEXTS] }] })).toBe(true);
  expect(mayBeList({ anyOf: [TEXT, OBJECT] })).toBe(false);
});
