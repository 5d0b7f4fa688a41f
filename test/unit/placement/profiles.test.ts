import { describe, expect, it } from 'vitest';
import { largestBatch, memoryPerDevice, readProfile, readProfiles } from '../../../placement/profiles/index.js';
import { examples } from './reference-examples.js';
import { refusal } from './refusal.js';

const [WHISPER = '', ASSISTANT = ''] = examples('json');
const refused = (text: string) => refusal(() => readProfile(text, 'w.json'));

describe('a profile', () => {
  it('is read as the reference shows it', () => {
    const whisper = readProfile(WHISPER, 'w.json').value;
    expect(whisper).toMatchObject({ model: 'whisper', parallel: { tensor: 1, pipeline: 1 }, overheadMs: 1.2 });
    expect(largestBatch(whisper)).toBe(8);
    expect(memoryPerDevice(whisper, 8)).toBe(Math.ceil(1.6 * 2 ** 30 + 8 * 180 * 2 ** 20));
    const assistant = readProfile(ASSISTANT, 'a.json').value;
    expect(largestBatch(assistant)).toBe(32);
    expect(memoryPerDevice(assistant, 2)).toBe((140 * 2 ** 30 + 2 * 380 * 320 * 1024) / 2);
  });

  it.each([
    ['memory below nothing', WHISPER.replace('1.6GiB', '-1.6GiB'), /^w.json:11 memory.weights: -1.6GiB is negative/],
    [
      'a time of nothing',
      WHISPER.replace('"p50Ms": 24', '"p50Ms": 0'),
      /^w.json:15 latency\[0\].p50Ms: the median: give/,
    ],
    [
      'falling percentiles',
      WHISPER.replace('"p95Ms": 27', '"p95Ms": 2'),
      /^w.json:15 latency\[0\]: percentiles must not/,
    ],
    [
      'a row twice',
      WHISPER.replace('"batch": 8, "size": 2,', '"batch": 1, "size": 2,'),
      /^w.json:17 latency\[2\]: a second row/,
    ],
    ['a row without size', WHISPER.replace('"size": 2,', ''), /^w.json:15 latency\[0\]: give its "size", in audio_s/],
    [
      'sizes that differ',
      WHISPER.replace('"batch": 8, "size": 2,', '"batch": 8, "size": 3,'),
      /^w.json:17 .* other sizes/,
    ],
    ['no batch 1', WHISPER.replaceAll('"batch": 1', '"batch": 2'), /^w.json:14 latency: rows for batch 1 are missing/],
    [
      'another way to batch',
      WHISPER.replace('"dynamic"', '"magic"'),
      /^w.json:10 batching: batching must be "dynamic"/,
    ],
    ['a quality above 1', WHISPER.replace('0.97', '97'), /^w.json:6 quality: from 0 to 1/],
    [
      'no row for one sequence',
      ASSISTANT.replaceAll('"batch": 1,', '"batch": 2,')
        .replaceAll('8192', '9000')
        .replace('"tokens": 512', '"tokens": 500'),
      /decode: a row for batch 1 is missing/,
    ],
    ['no JSON', '{', /^w.json:1: /],
  ])('is refused with %s', (_, text, message) => {
    const { code, fields } = refused(text);
    expect(code).toBe('INVALID_PROFILE');
    expect(fields[0]).toMatch(message);
  });

  it('is told once of a time below nothing', () => {
    expect(refused(WHISPER.replace('"p50Ms": 24', '"p50Ms": -1')).fields).toEqual([
      'w.json:15 latency[0].p50Ms: the median: give a time above 0 ms',
    ]);
  });

  it('is one of a folder in which no two describe the same', () => {
    const both = [
      { file: 'w.json', text: WHISPER },
      { file: 'a.json', text: ASSISTANT },
    ];
    expect(readProfiles(both).map(({ value }) => value.model)).toEqual(['whisper', 'assistant']);
    expect(refusal(() => readProfiles([...both, { file: 'w2.json', text: WHISPER }])).fields).toEqual([
      'w2.json:4 variant: w.json describes the same: whisper, fp16, a100; remove one or name another variant',
    ]);
    expect(refusal(() => readProfiles([])).fields[0]).toMatch(/no \*\.json/);
    const wrong = both.map(({ file, text }) => ({ file, text: text.replace('"format": 1', '"format": 3') }));
    expect(refusal(() => readProfiles(wrong)).fields).toEqual([
      'w.json:2 format: must be 1, the format of this release',
      'a.json:2 format: must be 1, the format of this release',
    ]);
  });
});
