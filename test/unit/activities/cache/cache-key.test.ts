import { describe, expect, it } from 'vitest';
import { exactKeysOf, keysOf } from '../../../../activities/cache/cache-key.js';
import { normaliseText } from '../../../../activities/cache/lexical/text.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { request } from '../../../support/caches.js';

describe('normaliseText', () => {
  it.each([
    ['What is it?', ' what  is it? '],
    ['It’s late.', "it's late"],
    ['It is late.', 'it is late'],
    ['cafe\u0301', 'café'],
  ])('%s is %s', (a, b) => {
    expect(normaliseText(a)).toBe(normaliseText(b));
  });

  it.each([
    ['How big is the US?', 'How big is the us?'],
    ['5²', '52'],
    ['It is safe?', 'It is safe.'],
    ['IT', 'it'],
    ['1.5', '15'],
    ['What is 5!', 'What is 5.'],
    ['What is 5!', 'What is 5'],
    ['Stop!', 'Stop.'],
    ['if x:\n  y\nz', 'if x:\n  y\n  z'],
    ['{"a": "b  c"}', '{"a": "b c"}'],
    ['Ihr Hund', 'ihr Hund'],
    ['他来了？', '他来了。'],
    // One key for both would pass an answer to `Who cares?` on from the one to the other.
    ['Who cares.', 'Who cares'],
    ['a\tb c', 'a b\tc'],
    ['  - a: 1\n    b: 2', '- a: 1\n    b: 2'],
    ["let s = 'it\u2019s'", "let s = 'it's'"],
    ['5 \u212a', '5 K'],
  ])('%s is not %s', (a, b) => {
    expect(normaliseText(a)).not.toBe(normaliseText(b));
  });
});

describe('the marks on one letter', () => {
  it('are composed up to 30, and as they are from there on', () => {
    const marks = '\u0301\u0323';
    const composed = `a${marks.repeat(15)}`.normalize('NFC');
    expect(composed).not.toBe(`a${marks.repeat(15)}`);
    expect(normaliseText(`a${marks.repeat(100_000)}`)).toBe(composed + marks.repeat(99_985));
  });
});

describe('keysOf', () => {
  it('tells texts apart that are one in UTF-8', () => {
    const ids = ['a\ud800', 'a\ud801', 'a\ufffd'].map((text) => keysOf(request(text), 'f').id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('names the tenant in clear and nothing else', () => {
    const { entry, lease, vectors } = keysOf(request('Who is Zebediah?', { context: { secret: 'xyzzy' } }), 'weights');
    for (const key of [entry, lease, vectors]) expect(key).toMatch(/^millrace:cache:\{acme:[0-9a-f]{64}\}:/);
  });

  it('hashes a tenant that is not a plain name', () => {
    const keys = ['a}b', 'ACME', '~x', '', 'a:b', '\ud800'].map(
      (tenant) => keysOf(request('x', { tenant }), 'f').entry,
    );
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^millrace:cache:\{~[0-9a-f]{64}:[0-9a-f]{64}\}:entry:[0-9a-f]{32}$/);
  });

  it('has one partition for what differs in the key text and the least similarity only', () => {
    const base = keysOf(request('a'), 'f');
    expect(keysOf(request('b', { minSimilarity: 0.99 }), 'f').vectors).toBe(base.vectors);
    expect(keysOf(request('a', { context: [1] }), 'f').vectors).not.toBe(base.vectors);
    expect(keysOf(request('a'), 'g').vectors).not.toBe(base.vectors);
    for (const limits of [
      { ttlMs: 1 },
      { untilMidnight: 'Europe/Berlin' },
      { untilMidnight: 'Asia/Kolkata' },
      { version: '1' },
      { version: '"1"' },
      { agree: { by: 'similarity', atLeast: 0.9 } },
      { agree: { by: 'fields', fields: ['label'] } },
    ] as const)
      expect(keysOf(request('a', limits), 'f').vectors).not.toBe(base.vectors);
  });
});

describe('exactKeysOf', () => {
  const exact = (input: JsonObject) =>
    exactKeysOf({ tenant: 't', pipeline: 'p', stage: 's', kind: 'code', model: 'm', with: {}, input, ttlMs: 1 }).entry;
  const image = (more: JsonObject = {}) => ({
    uri: `artifact://acme/${'a'.repeat(64)}`,
    sha256: 'a'.repeat(64),
    mime: 'image/png',
    bytes: 3,
    ...more,
  });

  it('names media by their content, whatever else is known of them', () => {
    expect(exact({ image: image({ durationMs: 7 }) })).toBe(exact({ image: image() }));
    expect(exact({ image: image({ mime: 'image/jpeg' }) })).not.toBe(exact({ image: image() }));
  });

  it('tells media apart from data that have a part of their form, or say more', () => {
    const { uri, mime } = image();
    const more: readonly JsonObject[] = [
      { caption: 'a cat' },
      { caption: 'a dog' },
      { parts: [image()] },
      { durationMs: 'a cat' },
      { durationMs: 'a dog' },
      { channels: [image()] },
      { sampleRate: null },
    ];
    const all: readonly JsonObject[] = [image(), { uri, mime }, ...more.map((each) => image(each))];
    const keys = all.map((each) => exact({ image: each }));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
