import { describe, expect, it } from 'vitest';
import { lostInteger, parseExactly } from '../../../../protocols/open-inference/index.js';
import { leastCpuMs } from '../../../support/cpu-time.js';

describe('an integer that a number does not hold', () => {
  const lost = (text: string) => lostInteger(JSON.parse(text), text);

  it.each<[string, string[]]>([
    ['9007199254740993', []],
    ['-9007199254740993', []],
    [' [1, 12345678901234567891]', ['1']],
    ['{"a": {"9007199254740993": [{"id": 9007199254740993}]}}', ['a', '9007199254740993', '0', 'id']],
    [`{"a": ${'9'.repeat(400)}}`, ['a']],
    ['{"__proto__": {"a": 9007199254740993}}', ['__proto__', 'a']],
    ['{"a": 9007199254740993, "a": 9007199254740993}', ['a']],
  ])('is found in %s', (text, path) => {
    expect(lost(text)).toEqual(path);
  });

  it.each([
    '9007199254740991',
    '9007199254740992',
    '100000000000000000000',
    '1152921504606847000',
    '-18446744073709552000',
    '[0.12345678901234567, 1e21, 1234567890123456.5]',
    '{"a": "9007199254740993, 9007199254740993"}',
    '{"a": 9007199254740993, "a": 1}',
    'null',
  ])('is not found in %s', (text) => {
    expect(lost(text)).toBeUndefined();
  });

  it('is found however deep it is', () => {
    const deep = `${'['.repeat(20_000)}9007199254740993${']'.repeat(20_000)}`;
    expect(lost(deep)).toHaveLength(20_000);
  });
});

describe('a text that is no JSON', () => {
  it.each([
    ['numbers with spaces between them', '1 '],
    ['signs', '-'],
    ['long integers with spaces between them', '9999999999999999 '],
  ])('is not searched for numbers: %s', (_, part) => {
    const text = `{"inputs":[1111111111111111 ${part.repeat(16_000_000 / part.length)}`;
    const tookMs = leastCpuMs(300, () => expect(() => parseExactly(text)).toThrow(SyntaxError));
    // The search took more than a second.
    expect(tookMs).toBeLessThan(300);
  });
});
