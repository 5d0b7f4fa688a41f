import { describe, expect, test } from 'vitest';
import { WavReader } from '../../../media/wav.js';
import type { SampleEncoding } from '../../../media/wav-format.js';
import { WavInspector } from '../../../media/wav-inspector.js';
import { riffChunk, wavFile, wavOf } from '../../support/wav-samples.js';

/** Reads a whole file in pieces of `size` bytes and gives its format, frames and the samples' bytes. */
function read(file: Buffer, size = file.length) {
  const reader = new WavReader();
  const samples: Uint8Array[] = [];
  for (let at = 0; at < file.length; at += size) samples.push(...reader.push(file.subarray(at, at + size)));
  return { ...reader.end(), samples: Buffer.concat(samples) };
}

function inspect(file: Buffer) {
  const inspector = new WavInspector();
  if (file.length > 0) inspector.push(file);
  return inspector.end();
}

const ENCODINGS: SampleEncoding[] = ['u8', 's16', 's24', 's32', 'f32', 'f64', 'mulaw', 'alaw'];
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'INVALID_MEDIA', message: expect.stringMatching(message) });

describe('a WAV file is read', () => {
  test.each(ENCODINGS.flatMap((encoding) => [1, 2, 8].map((channels) => ({ encoding, channels }))))(
    'in $encoding with $channels channels, whatever the pieces',
    ({ encoding, channels }) => {
      for (const extensible of [false, true]) {
        const file = wavFile({ encoding, channels, extensible, sampleRate: 8000, seconds: 0.01 });
        const whole = read(file);
        expect(whole.format).toMatchObject({ encoding, channels, sampleRate: 8000 });
        expect(whole.frames).toBe(80);
        for (const size of [1, 2, 3, 7, 44, 1000]) expect(read(file, size)).toEqual(whole);
      }
    },
  );

  test.each([1000, 8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])('at %i Hz', (sampleRate) => {
    expect(inspect(wavFile({ sampleRate, seconds: 1 }))).toEqual({
      mime: 'audio/wav',
      durationMs: 1000,
      sampleRate,
      channels: 1,
    });
  });

  test('with other chunks around the samples, odd sizes padded', () => {
    const before = [riffChunk('LIST', Buffer.from('INFOISFT odd')), riffChunk('id3 ', Buffer.alloc(70_001))];
    const plain = read(wavFile());
    const file = wavFile({ before, after: [riffChunk('cue ', Buffer.alloc(33))] });
    expect(read(file)).toEqual(plain);
    expect(read(file, 5)).toEqual(plain);
  });

  test('with some hundred chunks before the samples', () => {
    const before = Array<Buffer>(900).fill(riffChunk('LIST', Buffer.alloc(0)));
    expect(read(wavFile({ before }))).toEqual(read(wavFile()));
  });

  test('with an odd number of bytes of samples and no pad byte at the end', () => {
    const file = wavOf(Buffer.alloc(3, 0x90), { encoding: 'u8' });
    expect(read(file.subarray(0, -1)).frames).toBe(3);
  });

  test.each([0, 0x7ffff000, 0x7fffffff, 0xffffffff])(
    'to its end where the size was never filled in (%i)',
    (dataSize) => {
      const file = wavFile({ dataSize, riffSize: dataSize === 0 ? 0 : 0xffffffff });
      expect(read(file).frames).toBe(1600);
      expect(inspect(file).durationMs).toBe(100);
    },
  );

  test('a partial last frame of a streamed file is dropped', () => {
    const file = Buffer.concat([wavFile({ channels: 2, dataSize: 0xffffffff }), Buffer.alloc(3)]);
    expect(read(file).frames).toBe(1600);
  });

  test('in memory that does not grow with the file', () => {
    const reader = new WavReader();
    const header = wavOf(Buffer.alloc(0), { dataSize: 0xffffffff });
    for (const samples of reader.push(header)) expect(samples).toBeUndefined();
    const block = Buffer.alloc(65_536);
    let bytes = 0;
    for (let i = 0; i < 1000; i++) {
      for (const samples of reader.push(block)) {
        expect(samples.buffer).toBe(block.buffer); // a view, not a copy
        bytes += samples.length;
      }
    }
    expect(bytes).toBe(65_536_000);
  });
});

describe('a file is refused', () => {
  test.each([
    ['nothing', Buffer.alloc(0), /not WAV audio: it is empty/],
    ['MP3 with a tag', Buffer.from('ID3\x04\0\0\0\0\0\0\0\0\0'), /looks like MP3/],
    ['MP3 without', Buffer.from('fffb9064000000000000000000', 'hex'), /looks like MP3 or AAC/],
    ['Ogg', Buffer.from('OggS\0\x02\0\0\0\0\0\0\0\0'), /looks like Ogg/],
    ['FLAC', Buffer.from('fLaC\0\0\0\x22\x10\0\x10\0\0\0'), /looks like FLAC/],
    ['M4A', Buffer.from('\0\0\0\x20ftypM4A \0\0'), /looks like MP4 or M4A/],
    ['AVI', Buffer.from('RIFF\0\0\0\0AVI LIST'), /looks like AVI video/],
    ['JSON', Buffer.from('{"error":"no such file"}'), /looks like JSON/],
    ['HTML', Buffer.from('<!doctype html><html>'), /looks like HTML/],
    ['text', Buffer.from('hello, this is not audio'), /is plain text/],
    ['short text', Buffer.from('hi'), /is plain text/],
    ['noise', Buffer.from('0102030405060708090a0b0c0d', 'hex'), /unknown format \(first bytes 0x01020304\)/],
    ['RF64', wavFile({ riff: 'RF64' }), /RF64.*not supported/],
    ['BW64', wavFile({ riff: 'BW64' }), /BW64.*not supported/],
    ['big-endian WAV', wavFile({ riff: 'RIFX' }), /RIFX/],
    ['zero length', wavFile({ seconds: 0 }), /no audio: its length is zero/],
    [
      'zero length, chunks after',
      wavFile({ seconds: 0, after: [riffChunk('LIST', Buffer.alloc(64))] }),
      /length is zero/,
    ],
    ['half a frame', wavOf(Buffer.alloc(1)), /length is zero/],
    ['samples without format', riffChunk('RIFF', Buffer.from('WAVEdata\x02\0\0\0\0\0')), /before their format/],
    ['no samples', wavFile().subarray(0, 36), /truncated: it ends after 36 bytes, before its samples/],
    [
      'inside a chunk',
      wavFile({ before: [riffChunk('LIST', Buffer.alloc(99))] }).subarray(0, 60),
      /inside its chunk "LIST"/,
    ],
    ['truncated', wavFile().subarray(0, -100), /truncated: its header declares 3200 bytes of audio, 3100 arrived/],
    [
      'more chunks than any file has',
      wavFile({ before: Array<Buffer>(1_000).fill(riffChunk('LIST', Buffer.alloc(0))) }),
      /more than 1000 chunks before its samples/,
    ],
  ])('%s', (_, file, message) => {
    expect(() => inspect(file)).toThrow(refused(message));
  });

  const withFmt = (edit: (fmt: Buffer) => void) => {
    const file = wavFile();
    edit(file.subarray(20, 36));
    return file;
  };
  test.each([
    ['A-law', withFmt((fmt) => fmt.writeUInt16LE(6, 0)), /16-bit A-law is not supported; send 8, 16/],
    ['MP3 in WAV', withFmt((fmt) => fmt.writeUInt16LE(0x55, 0)), /MP3 is not supported/],
    ['unknown tag', withFmt((fmt) => fmt.writeUInt16LE(0x1234, 0)), /format 0x1234/],
    ['12 bits', withFmt((fmt) => fmt.writeUInt16LE(12, 14)), /12-bit PCM is not supported/],
    ['16-bit float', withFmt((fmt) => fmt.writeUInt16LE(3, 0)), /16-bit float is not supported/],
    ['no channels', withFmt((fmt) => fmt.writeUInt16LE(0, 2)), /0 channels; 1 to 8/],
    ['9 channels', withFmt((fmt) => fmt.writeUInt16LE(9, 2)), /9 channels/],
    ['0 Hz', withFmt((fmt) => fmt.writeUInt32LE(0, 4)), /sample rate of 0 Hz/],
    ['384 kHz', withFmt((fmt) => fmt.writeUInt32LE(384_000, 4)), /384000 Hz/],
    ['wrong frame size', withFmt((fmt) => fmt.writeUInt16LE(3, 12)), /contradicts itself/],
    ['extensible, too short', withFmt((fmt) => fmt.writeUInt16LE(0xfffe, 0)), /too short/],
    ['a short format chunk', riffChunk('RIFF', Buffer.from('WAVEfmt \x04\0\0\0\0\0\0\0')), /format chunk is 4 bytes/],
  ])('for its format: %s', (_, file, message) => {
    expect(() => inspect(file)).toThrow(refused(message));
  });

  test('an unknown sub-format', () => {
    const file = wavFile({ extensible: true });
    file[50] = 0xff;
    expect(() => inspect(file)).toThrow(refused(/unknown GUID/));
  });

  test.each([false, true])('cut at any byte (extensible: %s), in pieces or whole', (extensible) => {
    const file = wavFile({ extensible, seconds: 0.002, before: [riffChunk('LIST', Buffer.alloc(7))] });
    for (let length = 0; length < file.length; length++) {
      const cut = file.subarray(0, length);
      expect(() => inspect(cut), `${length} bytes`).toThrow(refused(length === 0 ? /is empty/ : /truncated/));
      if (length > 0) expect(() => read(cut, 3), `${length} bytes`).toThrow(refused(/truncated/));
    }
    expect(read(file).frames).toBe(32);
  });

  test('as soon as 12 bytes have passed, not at the end', () => {
    const inspector = new WavInspector();
    inspector.push(Buffer.from('OggS\0\x02\0\0\0'));
    expect(() => inspector.push(Buffer.from('\0\0\0'))).toThrow(refused(/Ogg/));
  });
});
