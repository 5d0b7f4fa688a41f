import { beforeEach, describe, expect, test } from 'vitest';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { encoded, ffmpeg } from '../../../support/ffmpeg.js';
import { multipartBody } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';
import { wavFile } from '../../../support/wav-samples.js';
import { modelsDoor } from './models-door.js';

let told: RunEvent[] = [];
const door = modelsDoor({ ffmpeg, events: toldEvents(() => told) });
beforeEach(() => {
  told = [];
});

describe('a transcription', () => {
  const file = wavFile({ seconds: 0.5 });
  const send = (parts: readonly (readonly [string, string])[], sent = file, type = 'audio/wav') =>
    door.gateway.app.inject({
      method: 'POST',
      url: '/v1/audio/transcriptions',
      ...multipartBody([['file', sent, type], ...parts.map(([name, value]): [string, string] => [name, value])]),
    });

  test('runs only what the text needs', async () => {
    door.answers({ transcript: 'So.' });
    expect((await send([['model', 'voice-assistant']])).json()).toEqual({ text: 'So.' });
    expect(door.gateway.temporal.only().options.args[1].outputs).toEqual(['transcript']);
  });

  test.each<[string, string[]]>([
    ['the server changes the text that it has sent', []],
    ['the next attempt hears something else', ['Yes. Now']],
  ])('that is streamed ends with the whole where %s', async (_, again) => {
    const of = { stage: 'transcribe', path: 'transcribe' };
    const attempt = (attempt: number, ...texts: string[]): RunEvent[] => [
      { type: 'stage.started', ...of, attempt, kind: 'transcribe', model: 'whisper' },
      ...texts.map((text): RunEvent => ({ type: 'stage.delta', ...of, attempt, text })),
    ];
    told = [...attempt(1, 'No. ', 'Now'), ...(again.length > 0 ? attempt(2, ...again) : [])];
    door.answers({ text: 'Yes. Now.' });
    const { body } = await send([
      ['model', 'transcribe'],
      ['stream', 'true'],
    ]);
    const events = body.split('\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []));
    expect(events).toEqual([
      { type: 'transcript.text.delta', delta: 'No. ' },
      { type: 'transcript.text.delta', delta: 'Now' },
      { type: 'transcript.text.done', text: 'Yes. Now.' },
    ]);
    expect(door.gateway.temporal.sent).not.toContainEqual(['cancel']);
  });

  test('of a compressed body is refused, which is no damaged form', async () => {
    const { headers, payload } = multipartBody([['file', file, 'audio/wav']]);
    const response = await door.gateway.app.inject({
      method: 'POST',
      url: '/v1/audio/transcriptions',
      headers: { ...headers, 'content-encoding': 'gzip' },
      payload,
    });
    expect(response.statusCode).toBe(415);
    expect(response.json()).toMatchObject({ error: { code: 'UNSUPPORTED_CONTENT_TYPE', param: 'Content-Encoding' } });
  });

  test('is verbose where the language and the duration are known', async () => {
    door.answers({ text: 'So.' });
    const parts = [
      ['model', 'heard'],
      ['language', 'de'],
      ['response_format', 'verbose_json'],
    ] as const;
    expect((await send(parts)).json()).toEqual({ task: 'transcribe', language: 'de', duration: 0.5, text: 'So.' });
  });

  test.each([
    ['mp3', 'audio/mpeg'],
    ['webm', 'audio/webm;codecs=opus'],
    ['mp4', 'audio/mp4'],
  ])('is verbose also of %s, whose length is read from its packets', async (as, type) => {
    door.answers({ text: 'So.' });
    const parts = [
      ['model', 'heard'],
      ['language', 'de'],
      ['response_format', 'verbose_json'],
    ] as const;
    const response = await send(parts, encoded(file, as), type);
    expect(response.statusCode).toBe(200);
    expect(response.json()).toMatchObject({ task: 'transcribe', text: 'So.' });
    expect(response.json().duration).toBeCloseTo(0.5, 0.5);
  });

  describe('with times', () => {
    const segments = [
      { start: 0, end: 1.5, text: 'Dear <all>,', speaker: 'Ada & Co', words: [{ start: 0, end: 0.4, text: 'Dear' }] },
      { start: 1.5, end: 3_725.0004, text: ' this --> is\n\n2 ' },
      { start: 3_725.5, end: 3_726, text: ' ' },
      { start: 359_999.9996, end: 360_000, text: 'long.' },
    ];
    /** What clients with types require of a segment. */
    const unknown = { seek: 0, tokens: [], temperature: 0, avg_logprob: 0, compression_ratio: 1, no_speech_prob: 0 };
    const sendTimed = (...parts: [string, string][]) => send([['model', 'timed'], ...parts]);

    test('is SubRip', async () => {
      door.answers({ text: 'So.', segments });
      const response = await sendTimed(['response_format', 'srt']);
      expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(response.body).toBe(
        '1\n00:00:00,000 --> 00:00:01,500\nAda & Co: Dear <all>,\n\n' +
          '2\n00:00:01,500 --> 01:02:05,000\nthis --> is 2\n\n' +
          '3\n100:00:00,000 --> 100:00:00,000\nlong.\n\n',
      );
      expect(door.gateway.temporal.only().options.args[1].outputs).toEqual(['segments', 'text']);
    });

    test('is WebVTT', async () => {
      door.answers({ text: 'So.', segments });
      const response = await sendTimed(['response_format', 'vtt']);
      expect(response.headers['content-type']).toBe('text/vtt; charset=utf-8');
      expect(response.body).toBe(
        'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n<v Ada &amp; Co>Dear &lt;all&gt;,\n\n' +
          '00:00:01.500 --> 01:02:05.000\nthis --&gt; is 2\n\n' +
          '100:00:00.000 --> 100:00:00.000\nlong.\n\n',
      );
    });

    test.each([
      ['srt', ''],
      ['vtt', 'WEBVTT\n\n'],
    ])('of silence is an empty file (%s)', async (format, body) => {
      door.answers({ text: '', segments: [] });
      const response = await sendTimed(['response_format', format]);
      expect([response.statusCode, response.body]).toEqual([200, body]);
    });

    test('has its words in a list of their own', async () => {
      door.answers({ text: 'So.', language: 'en', segments: segments.slice(0, 2) });
      const response = await sendTimed(
        ['response_format', 'verbose_json'],
        ['timestamp_granularities[]', 'word'],
        ['timestamp_granularities[]', 'segment'],
      );
      expect(response.json()).toEqual({
        task: 'transcribe',
        language: 'en',
        duration: 0.5,
        text: 'So.',
        words: [{ word: 'Dear', start: 0, end: 0.4 }],
        segments: [
          { ...unknown, id: 0, start: 0, end: 1.5, text: 'Dear <all>,', speaker: 'Ada & Co' },
          { ...unknown, id: 1, start: 1.5, end: 3_725.0004, text: ' this --> is\n\n2 ' },
        ],
      });
    });

    test('has what the pipeline knows of a segment', async () => {
      const known = { ...unknown, id: 7, seek: 300, tokens: [50_364, 2_425], avg_logprob: -0.4 };
      door.answers({ text: 'So.', language: 'en', segments: [{ ...known, start: 0, end: 1, text: 'So.' }] });
      const response = await sendTimed(['response_format', 'verbose_json']);
      expect(response.json()).toMatchObject({ segments: [{ ...known, text: 'So.' }] });
    });

    test('of words that no segment has are an error with the parameter', async () => {
      const ask = () => sendTimed(['response_format', 'verbose_json'], ['timestamp_granularities[]', 'word']);
      door.answers({ text: 'So.', language: 'en', segments: [{ start: 0, end: 1, text: 'So.' }] });
      const response = await ask();
      expect(response.statusCode).toBe(500);
      expect(response.json()).toMatchObject({
        error: { code: 'CAPABILITY_MISSING', param: 'timestamp_granularities' },
      });
      door.answers({ text: '', language: 'en', segments: [] });
      expect((await ask()).json()).toMatchObject({ text: '', segments: [] });
    });

    test('that are none is an error with the field', async () => {
      door.answers({ text: 'So.', segments: [{ start: 0, end: 'later', text: 'So.' }] });
      const response = await sendTimed(['response_format', 'srt']);
      expect(response.statusCode).toBe(502);
      expect(response.json()).toMatchObject({ error: { code: 'INVALID_OUTPUT' } });
      expect(response.body).toContain('segments.0.end');
    });
  });

  test.each([
    [
      'a language that is not taken',
      [
        ['model', 'transcribe'],
        ['language', 'de'],
      ],
      'language',
    ],
    [
      'what is not known',
      [
        ['model', 'transcribe'],
        ['response_format', 'verbose_json'],
      ],
      'response_format',
    ],
    [
      'subtitles of a pipeline without times',
      [
        ['model', 'transcribe'],
        ['response_format', 'srt'],
      ],
      'response_format',
    ],
    [
      'times of a pipeline without times',
      [
        ['model', 'heard'],
        ['language', 'de'],
        ['response_format', 'verbose_json'],
        ['timestamp_granularities[]', 'word'],
      ],
      'timestamp_granularities',
    ],
    [
      'times in a text',
      [
        ['model', 'timed'],
        ['timestamp_granularities[]', 'word'],
      ],
      'timestamp_granularities',
    ],
    [
      'speakers',
      [
        ['model', 'timed'],
        ['response_format', 'diarized_json'],
      ],
      'response_format',
    ],
    [
      'an unknown part',
      [
        ['model', 'transcribe'],
        ['beams', '3'],
      ],
      'beams',
    ],
    ['no model', [], 'model'],
  ] as const)('refuses %s', async (_, parts, param) => {
    const response = await send(parts);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param } });
  });
});
