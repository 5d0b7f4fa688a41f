import { describe, expect, it } from 'vitest';
import { targetUrl } from '../../../../activities/connectors/http/target.js';

const BASE = 'https://api.example/v1';

describe('the URL of a call', () => {
  it.each<[string, Parameters<typeof targetUrl>[2], Parameters<typeof targetUrl>[3], string]>([
    ['/cities', {}, {}, '/cities'],
    ['cities', undefined, undefined, '/cities'],
    ['/cities/{name}/days/{day}', { name: 'Zürich', day: 3 }, {}, '/cities/Z%C3%BCrich/days/3'],
    ['/files/{path}', { path: 'a/b?c#d&e=f g' }, {}, '/files/a%2Fb%3Fc%23d%26e%3Df%20g'],
    ['/files/{path}', { path: '../secret' }, {}, '/files/..%2Fsecret'],
    ['/files/{path}', { path: '%2e%2e' }, {}, '/files/%252e%252e'],
    ['/{a}{b}', { a: 'x', b: true }, {}, '/xtrue'],
    ['/{a}', { a: '{b}', b: 'no' }, {}, '/%7Bb%7D'],
    ['/search', {}, { q: 'a&b=c', page: 2, exact: false }, '/search?q=a%26b%3Dc&page=2&exact=false'],
    ['/search?lang=en', {}, { q: 'é' }, '/search?lang=en&q=%C3%A9'],
    ['/search', {}, { ids: [1, 2], tag: ['a b', 'c,d'], none: [] }, '/search?ids=1&ids=2&tag=a%20b&tag=c%2Cd'],
    ['/search?of=a+b', {}, { q: 'a b+c' }, '/search?of=a%20b&q=a%20b%2Bc'],
    ['//other.example/x', {}, {}, '//other.example/x'],
    ['/x', { unused: 1 }, {}, '/x'],
  ])('%s', (template, values, query, expected) => {
    expect(targetUrl(BASE, template, values, query)).toBe(BASE + expected);
  });

  it('has commas between the values of a list where they are wanted, and in no value', () => {
    const query = { ids: [1, 2], tags: ['a b', 'c,d', 'é'], none: [], one: 'x,y', q: 'x' };
    expect(targetUrl(BASE, '/search?lang=en', {}, query, ['ids', 'tags', 'none', 'one'])).toBe(
      `${BASE}/search?lang=en&one=x%2Cy&q=x&ids=1,2&tags=a%20b,c%2Cd,%C3%A9`,
    );
  });

  it.each<[string, Parameters<typeof targetUrl>[2], string, string]>([
    ['/cities/{name}', {}, 'path.name', 'the path /cities/{name} needs a value for {name}'],
    ['/cities/{name}', undefined, 'path.name', 'the path /cities/{name} needs a value for {name}'],
    ['/cities/{name}/x', { name: '' }, 'path.name', 'the path /cities/{name}/x needs a value for {name}'],
    ['/{toString}', {}, 'path.toString', 'the path /{toString} needs a value for {toString}'],
    ['/a/{up}/b', { up: '..' }, 'path.up', '".." is not allowed in a path'],
    ['/a/{here}', { here: '.' }, 'path.here', '"." is not allowed in a path'],
    ['/a/{half}', { half: '\ud83d' }, 'path.half', 'the value of {half} is not Unicode text'],
  ])('refuses %s with %j', (template, values, field, message) => {
    expect(() => targetUrl(BASE, template, values)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message, details: { fields: [{ field, message }] } }),
    );
  });

  it('refuses a query field that the template has set', () => {
    const message = 'the path /search?scope=own&q=x sets "scope" itself';
    expect(() => targetUrl(BASE, '/search?scope=own&q=x', {}, { page: 1, scope: 'all' })).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        message,
        details: { fields: [{ field: 'query.scope', message }] },
      }),
    );
  });
});
