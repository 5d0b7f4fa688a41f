import { describe, expect, it } from 'vitest';
import { bytesOf, notJson, tooLarge } from '../../../pipelines/json-limits.js';

describe('what JSON does not have is found with its path', () => {
  const cycle: Record<string, unknown> = { list: [] };
  (cycle.list as unknown[]).push(cycle);
  let deep: unknown = 1;
  for (let i = 0; i < 10_000; i++) deep = [deep];
  it.each([
    ['a BigInt', { a: { b: 1n } }, 'a.b', 'BigInt'],
    ['NaN', { a: [1, Number.NaN] }, 'a.1', 'NaN'],
    ['infinity', [Number.POSITIVE_INFINITY], '0', 'Infinity'],
    ['undefined in a list', { a: [undefined] }, 'a.0', 'undefined'],
    ['undefined alone', undefined, '', 'undefined'],
    ['a hole', { a: new Array(1) }, 'a.0', 'undefined'],
    ['a function', { f: () => 1 }, 'f', 'function'],
    ['a symbol', { s: Symbol('s') }, 's', 'symbol'],
    ['a Date', { at: new Date() }, 'at', 'Date'],
    ['bytes', { b: new Uint8Array(1) }, 'b', 'Uint8Array'],
    ['a Map', { m: new Map() }, 'm', 'Map'],
    ['what holds itself', cycle, 'list.0', 'contains itself'],
    ['too deep a list', deep, expect.any(String), '500 levels'],
  ])('%s', (_, value, field, why) => {
    const found = notJson(value);
    expect(found?.field).toEqual(field);
    expect(found?.message).toContain(why);
  });

  it('and what it has is none', () => {
    const twice = { a: 1 };
    const plain = { a: [null, true, 'x', -0, { b: undefined }], c: twice, d: twice, e: Object.create(null) };
    expect(notJson(plain)).toBeUndefined();
    expect(notJson(JSON.parse('{"__proto__": {"a": 1}}'))).toBeUndefined();
  });
});

describe('what is too large', () => {
  it('is counted in bytes, and its largest part is named', () => {
    expect(tooLarge({ a: 'é'.repeat(5), b: 1 }, 20)).toMatchObject({
      field: 'a',
      message: expect.stringContaining('24'),
    });
    expect(tooLarge({ a: 'é'.repeat(5), b: 1 }, 24)).toBeUndefined();
    expect(tooLarge({ a: { x: 'y'.repeat(100), z: 1 }, b: 'y'.repeat(40) }, 50)?.field).toBe('a.x');
    expect(tooLarge({ a: Array.from({ length: 100 }, () => 'yy'), b: 1 }, 50)?.field).toBe('a');
    expect(tooLarge('y'.repeat(60), 50)).toMatchObject({ field: '' });
  });

  it.each(['plain', 'é', '€', '😀', '\ud800', '"\\\n'])('%j has as many bytes as Node says', (text) => {
    expect(bytesOf(text)).toBe(Buffer.byteLength(JSON.stringify(text)));
  });
});
