import { describe, expect, test } from 'vitest';
import { inspectorOf } from '../../../media/index.js';
import type { MediaKind } from '../../../pipelines/media.js';
import { encoded } from '../../support/ffmpeg.js';
import { wavFile } from '../../support/wav-samples.js';

function inspect(kind: MediaKind, file: Buffer, piece = file.length) {
  const inspector = inspectorOf(kind);
  for (let at = 0; at < file.length; at += piece) inspector.push(file.subarray(at, at + piece));
  return inspector.end();
}
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'INVALID_MEDIA', message: expect.stringMatching(message) });
/** A head, filled up to what a sniffer wants to see. */
const head = (text: string) => Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(64)]);

describe('audio', () => {
  const stereo = wavFile({ sampleRate: 44_100, channels: 2, seconds: 1 });

  test('WAV, with all that its header says, whatever the pieces', () => {
    for (const piece of [stereo.length, 1000, 7, 1]) {
      expect(inspect('audio', stereo, piece)).toEqual({
        mime: 'audio/wav',
        durationMs: 1000,
        sampleRate: 44_100,
        channels: 2,
      });
    }
  });

  describe('by ffmpeg', () => {
    test.each([
      ['mp3', { mime: 'audio/mpeg' }],
      ['mp3 without a tag', { mime: 'audio/mpeg', sampleRate: 44_100, channels: 2 }],
      ['flac', { mime: 'audio/flac', sampleRate: 44_100, channels: 2, durationMs: 1000 }],
      ['ogg (Opus)', { mime: 'audio/ogg', sampleRate: 48_000, channels: 2 }],
      ['ogg (Vorbis)', { mime: 'audio/ogg', sampleRate: 44_100, channels: 2 }],
      ['webm', { mime: 'audio/webm' }],
      ['mp4', { mime: 'audio/mp4' }],
    ])('%s, with what stands in its head', (as, info) => {
      const file = encoded(stereo, as);
      expect(inspect('audio', file)).toEqual(info);
      expect(inspect('audio', file, 1)).toEqual(info);
    });
  });

  test.each([
    ['nothing', Buffer.alloc(0), /not WAV, MP3, FLAC, Ogg, WebM or MP4 audio: it is empty/],
    ['text', head('this is not audio'), /is of an unknown format|is plain text/],
    ['UTF-16 text, whose mark is an MPEG sync word', head('\xff\xfeA\0B\0'), /looks like MP3 or AAC/],
    ['raw AAC', head('\xff\xf1\x50\x80'), /looks like MP3 or AAC/],
    ['AIFF', head('FORM\0\0\0\0AIFF'), /looks like AIFF/],
    ['Matroska video', head('\x1aE\xdf\xa3\x93\x42\x82\x88matroska'), /looks like WebM or Matroska/],
    ['a photo in HEIC', head('\0\0\0\x18ftypheic'), /looks like a HEIC or AVIF image/],
    ['a PNG', head('\x89PNG\r\n\x1a\n'), /looks like a PNG image/],
    ['AVI', head('RIFF\0\0\0\0AVI LIST'), /looks like AVI video/],
    ['RF64', head('RF64\0\0\0\0WAVE'), /RF64/],
    ['a cut MP3', Buffer.from('ID3\x04\0\0\0'), /mp3 file is truncated: it ends after 7 bytes/],
    ['a cut WAV', wavFile().subarray(0, 3), /WAV file is truncated/],
    [
      'FLAC of a rate beyond any',
      head(`fLaC\0\0\0\x22${'\0'.repeat(10)}\xff\xff\xf2\xf0`),
      /sample rate of 1048575 Hz/,
    ],
    ['Opus of no channels', head(`OggS${'\0'.repeat(24)}OpusHead\x01\0`), /0 channels/],
    ['Vorbis of a rate of zero', head(`OggS${'\0'.repeat(24)}\x01vorbis\0\0\0\0\x02\0\0\0\0`), /sample rate of 0 Hz/],
    ['FLAC without STREAMINFO', head('fLaC\x04\0\0\x22'), /no STREAMINFO/],
  ])('%s is refused', (_, file, message) => {
    expect(() => inspect('audio', file)).toThrow(refused(message));
  });
});

describe('a video', () => {
  test.each([
    ['\0\0\0\x20ftypisom', 'video/mp4'],
    ['\0\0\0\x14ftypqt  ', 'video/mp4'],
    ['\x1aE\xdf\xa3\x9f\x42\x82\x84webm', 'video/webm'],
    ['\x1aE\xdf\xa3\xa3\x42\x82\x88matroska', 'video/x-matroska'],
    ['RIFF\0\0\0\0AVI LIST', 'video/x-msvideo'],
  ])('%j is %s', (start, mime) => {
    expect(inspect('video', head(start))).toEqual({ mime });
    expect(inspect('video', head(start), 1)).toEqual({ mime });
  });

  test.each([
    ['nothing', Buffer.alloc(0), /it is empty/],
    ['a playlist', head('#EXTM3U\nhttp://169.254.169.254/'), /is plain text/],
    ['a list of files', head("ffconcat version 1.0\nfile '/etc/passwd'"), /is plain text/],
    ['audio in the container of videos', head('\0\0\0\x20ftypM4A '), /not MP4/],
    ['a picture in it', head('\0\0\0\x20ftypavif'), /not MP4/],
  ])('%s is refused', (_, file, message) => {
    expect(() => inspect('video', file)).toThrow(refused(message));
  });
});

describe('a file', () => {
  const bytes = (...values: number[]) => Buffer.from(values);
  test.each([
    ['a PDF', Buffer.from('%PDF-1.7'), 'application/pdf'],
    ['an office document', Buffer.from('PK\x03\x04…'), 'application/zip'],
    ['a picture', head('\x89PNG\r\n\x1a\n'), 'image/png'],
    ['a video', head('\0\0\0\x20ftypisom'), 'video/mp4'],
    ['text', Buffer.from('Grüße <b>an alle</b>'), 'text/plain'],
    ['text that ends inside a character', Buffer.from('Grüße').subarray(0, 3), 'application/octet-stream'],
    ['bytes', bytes(0x80, 0x81), 'application/octet-stream'],
    ['text with a NUL', bytes(0x61, 0, 0x62), 'application/octet-stream'],
  ])('%s is told by its bytes', (_, file, mime) => {
    expect(inspect('file', file)).toEqual({ mime });
    expect(inspect('file', file, 1)).toEqual({ mime });
  });

  test('a recording keeps what is known of it', () => {
    expect(inspect('file', wavFile())).toMatchObject({ mime: 'audio/wav', channels: 1 });
  });

  const cut = wavFile();
  const odd = wavFile();
  odd.writeUInt16LE(2, 20); // ADPCM
  test.each([
    ['a WAV of an unsupported coding', odd],
    ['a WAV that is cut inside a sample', cut.subarray(0, cut.length - 1)],
    ['FLAC of a rate beyond any', head(`fLaC\0\0\0\x22${'\0'.repeat(10)}\xff\xff\xf2\xf0`)],
  ])('%s is one of bytes', (_, file) => {
    for (const piece of [file.length, 1])
      expect(inspect('file', file, piece)).toEqual({ mime: 'application/octet-stream' });
    expect(() => inspect('audio', file)).toThrow(refused(/./));
  });

  test('must not be empty', () => expect(() => inspect('file', Buffer.alloc(0))).toThrow(refused(/empty/)));
});

describe('an image', () => {
  test.each([
    ['\x89PNG\r\n\x1a\n', 'image/png'],
    ['\xff\xd8\xff\xe0', 'image/jpeg'],
    ['RIFF\0\0\0\0WEBPVP8 ', 'image/webp'],
    ['GIF89a', 'image/gif'],
  ])('%j is %s', (start, mime) => {
    expect(inspect('image', head(start))).toEqual({ mime });
    expect(inspect('image', head(start), 1)).toEqual({ mime });
    expect(() => inspect('audio', head(start))).toThrow(refused(/./));
  });

  test.each([
    ['nothing', Buffer.alloc(0), /not a PNG, JPEG, WebP or GIF image: it is empty/],
    ['a WAV', wavFile(), /image: it is of an unknown format/],
    ['SVG', head('<svg xmlns="…">'), /looks like HTML or XML/],
    ['a PNG broken by a text transfer', head('\x89PNG\n\x1a\n'), /looks like a PNG/],
  ])('%s is refused', (_, file, message) => {
    expect(() => inspect('image', file)).toThrow(refused(message));
  });
});
