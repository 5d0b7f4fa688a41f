import { MillraceError } from '../pipelines/errors.js';

/** How a sample is stored. All are little-endian; `u8` is unsigned with 128 as silence, as in RIFF. `mulaw` and `alaw` are those of G.711. */
export type SampleEncoding = 'u8' | 's16' | 's24' | 's32' | 'f32' | 'f64' | 'mulaw' | 'alaw';

export interface WavFormat {
  readonly encoding: SampleEncoding;
  /** Samples per second and channel. */
  readonly sampleRate: number;
  readonly channels: number;
  /** One sample of every channel. */
  readonly frameBytes: number;
}

/** Whether a file has the format in which speech is stored and heard while it is made. */
export const isPlain = ({ encoding, channels }: WavFormat): boolean => encoding === 's16' && channels === 1;

/** In Hz. Covers all recorders and codecs in use; a rate outside indicates a broken header. */
export const SAMPLE_RATES = { least: 1_000, most: 192_000 };
/** 7.1 surround. */
export const MOST_CHANNELS = 8;

export const isSampleRate = (hz: number): boolean => hz >= SAMPLE_RATES.least && hz <= SAMPLE_RATES.most;

const PCM = 1;
const FLOAT = 3;
const A_LAW = 6;
const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;
/** Bytes 2–15 of every `KSDATAFORMAT_SUBTYPE_*` GUID whose first two bytes are a format tag. */
const SUBFORMAT_TAIL = '000000001000800000aa00389b71';

/** Names of format tags of RFC 2361 for error messages. */
const OTHER_FORMATS: Readonly<Record<number, string>> = {
  2: 'Microsoft ADPCM',
  [A_LAW]: 'A-law',
  [MU_LAW]: 'µ-law',
  17: 'IMA ADPCM',
  49: 'GSM 6.10',
  80: 'MPEG',
  85: 'MP3',
  353: 'Windows Media Audio',
};

const ENCODINGS: Readonly<Record<number, Readonly<Record<number, SampleEncoding>>>> = {
  [PCM]: { 8: 'u8', 16: 's16', 24: 's24', 32: 's32' },
  [FLOAT]: { 32: 'f32', 64: 'f64' },
  [A_LAW]: { 8: 'alaw' },
  [MU_LAW]: { 8: 'mulaw' },
};

/** Least and most bytes that are read of a `fmt ` chunk: WAVEFORMAT, and WAVEFORMATEXTENSIBLE. */
export const FMT_BYTES = { least: 16, most: 40 };

/**
 * Reads the body of a `fmt ` chunk (Microsoft Multimedia Programming Interface 1.0, WAVEFORMATEXTENSIBLE). Throws
 * `INVALID_MEDIA` for an unsupported format.
 */
export function parseFmt(body: Uint8Array): WavFormat {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const channels = view.getUint16(2, true);
  const sampleRate = view.getUint32(4, true);
  const frameBytes = view.getUint16(12, true);
  const bits = view.getUint16(14, true);
  const tag = formatTag(view, body);
  const encoding = ENCODINGS[tag]?.[bits];
  if (encoding === undefined) {
    const name = tag === PCM ? 'PCM' : tag === FLOAT ? 'float' : (OTHER_FORMATS[tag] ?? `format 0x${tag.toString(16)}`);
    throw invalidMedia(
      `the WAV encoding ${bits}-bit ${name} is not supported; send 8, 16, 24 or 32-bit PCM, 32 or 64-bit float, or 8-bit µ-law or A-law`,
    );
  }
  if (channels < 1 || channels > MOST_CHANNELS) {
    throw invalidMedia(`the WAV header gives ${channels} channels; 1 to ${MOST_CHANNELS} are supported`);
  }
  if (!isSampleRate(sampleRate)) {
    throw invalidMedia(
      `the WAV header gives a sample rate of ${sampleRate} Hz; ${SAMPLE_RATES.least} to ${SAMPLE_RATES.most} Hz are supported`,
    );
  }
  const expected = (channels * bits) / 8;
  if (frameBytes !== expected) {
    throw invalidMedia(
      `the WAV header contradicts itself: ${frameBytes} bytes a frame, but ${channels} × ${bits} bits are ${expected}`,
    );
  }
  return { encoding, sampleRate, channels, frameBytes };
}

function formatTag(view: DataView, body: Uint8Array): number {
  const tag = view.getUint16(0, true);
  if (tag !== EXTENSIBLE) return tag;
  if (body.length < FMT_BYTES.most) throw invalidMedia('the WAV header is WAVE_FORMAT_EXTENSIBLE but too short for it');
  const tail = Buffer.from(body.subarray(26, 40)).toString('hex');
  if (tail !== SUBFORMAT_TAIL) throw invalidMedia('the WAV sub-format is not a registered one (unknown GUID)');
  return view.getUint16(24, true);
}

export const invalidMedia = (message: string): MillraceError => new MillraceError('INVALID_MEDIA', message);
