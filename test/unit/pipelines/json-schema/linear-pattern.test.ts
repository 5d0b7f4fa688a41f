import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { linearPattern } from '../../../../pipelines/json-schema/index.js';

const TEXTS = [
  ...[
    '',
    'a',
    'A',
    'ab',
    'aa\n',
    'a\nb',
    '\n',
    '\r',
    '\u2028',
    '\u00a0',
    '\ufeff',
    ' ',
    '\t',
    '\v',
    '\x08',
    '\0',
    '-',
    '.',
  ],
  ...[
    'é',
    'ß',
    '😀',
    '😀😀',
    '\ud83d',
    '٣',
    '1',
    '12',
    '123',
    '2024-02-29',
    '2023-02-29',
    'a@b.co',
    'a..b@c.de',
    '[',
    ']',
  ],
  ...[
    'foo bar',
    'foobar',
    'Passw0rd',
    'password',
    'x'.repeat(300),
    'https://a.example/b?c=d',
    '10.0.0.1',
    '::1',
    '^',
    '\\',
  ],
  ...['abcabc', 'P3D', 'PT1H', '+4912345678', 'α', '{1}', 'A-1', 'word_1', '/', '"', "'", 'a-z', '&&', 'a.b', 'ab.c.'],
];

describe('a pattern means what it means to JavaScript', () => {
  it.each([
    ...[
      '',
      '^$',
      '$^',
      'a',
      '^a$',
      'a|b',
      '^(a|b)+$',
      '(?:ab)*',
      '(?<name>a)b',
      'a{2}',
      'a{2,}',
      'a{0,3}?',
      'a+?b',
      '()',
    ],
    ...[
      '.',
      '^.$',
      '^.+$',
      '\\s',
      '^\\s$',
      '^\\S$',
      '^\\S+$',
      '[\\s]',
      '[\\S]',
      '^[\\s\\S]*$',
      '^[^\\s]+$',
      '[^\\S]',
      '\\d',
      '^\\w+$',
    ],
    ...[
      '\\D',
      '\\W',
      '[\\w-]+',
      '^[\\w.-]+$',
      '\\bfoo\\b',
      '\\Bo',
      '[\\b]',
      '\\t',
      '\\0',
      '\\cH',
      '\\x41',
      '\\u0041',
      '\\u{1F600}',
    ],
    ...[
      '\\ud83d\\ude00',
      '[\\u0000-\\u001f]',
      '^\\p{L}+$',
      '\\P{L}',
      '^[\\p{L}\\p{N} ]+$',
      '\\p{Script=Greek}',
      '\\p{Lu}',
      '\\/',
    ],
    ...[
      '[]',
      '[^]',
      '^[^]$',
      '[a-z]',
      '[^a-z]',
      '[\\]]',
      '[[]',
      '[\\[\\]]',
      '[(*]',
      '[.^$|]',
      '[&&]',
      '\\.',
      '\\\\',
      '\\^',
      '\\{1\\}',
    ],
    ...[
      '[{1}]',
      '[?:]',
      '[+*]',
      '[*+?]{2}',
      '^(?=.*[A-Z])(?=.*\\d).{8,}$',
      '^(?!.*\\.\\.)[^@]+@[^@]+$',
      '^(?!password)',
      '^(?=a)',
    ],
    ...['^((a|b)|c)*$', '^(a+)+$', '[\\d-]', '[a\\-z]', '^[\\x20-\\x7e]*$', 'a$|^b', '^(?:a|b|)$', '^(?![\\s\\S])'],
  ])('%s', (source) => {
    const own = new RegExp(source, 'u');
    const linear = linearPattern(source);
    for (const text of TEXTS) expect(linear.test(text), JSON.stringify(text)).toBe(own.test(text));
  });

  it('and so do those of zod’s own formats', () => {
    const zod = [
      ...[
        z.email(),
        z.uuid(),
        z.ipv4(),
        z.ipv6(),
        z.cidrv4(),
        z.cidrv6(),
        z.base64(),
        z.base64url(),
        z.e164(),
        z.hostname(),
      ],
      ...[z.iso.date(), z.iso.datetime({ offset: true }), z.iso.time(), z.cuid2(), z.ulid(), z.nanoid(), z.mac()],
    ].map((schema) => String(z.toJSONSchema(schema).pattern));
    for (const source of zod) {
      const own = new RegExp(source, 'u');
      const linear = linearPattern(source);
      for (const text of TEXTS) expect(linear.test(text), `${source} ${JSON.stringify(text)}`).toBe(own.test(text));
    }
  });

  it('also one that was thrown together', () => {
    const atom = fc.constantFrom(
      'a',
      'b',
      '.',
      '\\s',
      '\\S',
      '\\w',
      '[ab]',
      '[^a]',
      '[\\s\\S]',
      '\\b',
      '^',
      '$',
      '(?:a|b)',
      '\\d',
    );
    const again = fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '*?');
    const repeatable = (part: string) => !['\\b', '^', '$'].includes(part);
    const sequence = fc
      .array(fc.tuple(atom, again), { maxLength: 6 })
      .map((parts) => parts.map(([part, times]) => part + (repeatable(part) ? times : '')).join(''));
    const pattern = fc.oneof(
      sequence,
      fc.tuple(sequence, sequence).map(([left, right]) => `(${left})*|${right}`),
      fc.tuple(sequence, sequence).map(([head, rest]) => `^(?=${head})(?!${rest})(?:${rest}|a)`),
    );
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', ' ', '\n', '_', '\u00a0', '😀'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (source, given) => {
        expect(linearPattern(source).test(given)).toBe(new RegExp(source, 'u').test(given));
      }),
      { numRuns: 500 },
    );
  });

  it('with escapes that only JavaScript without the flag u allows', () => {
    expect(linearPattern('^[\\w\\-\\.\\@]+\\-\\"\\ $').test('a@b.c-" ')).toBe(true);
  });
});

describe('a pattern is refused', () => {
  it.each([
    ['(a)\\1', /refers back/],
    ['(?<n>a)\\k<n>', /refers back/],
    ['a(?=b)', /uses a look-around/],
    ['(?<=a)b', /uses a look-around/],
    ['(?<!a)b', /uses a look-around/],
    ['^(?=a)b|c', /uses a look-around/],
    ['^(?=(?=a)b)c', /uses a look-around/],
    ['[', /not a regular expression/],
    ['a**', /not a regular expression/],
    ['(?i)a', /not a regular expression/],
    ['\\Aa\\Z', /not a regular expression/],
    ['a{1001}', /more than 1000 times/],
    ['a{1,100000}', /more than 1000 times/],
    ['(a{1,40}){1,40}', /repeats too much/],
    ['((((a{1,10}){1,10}){1,10}){1,10}){1,10}', /repeats too much/],
    ['.{999}'.repeat(20), /repeats too much/],
    ['a'.repeat(2_000), /longer than/],
  ])('%s', (source, why) => {
    expect(() => linearPattern(source)).toThrow(why);
  });
});
