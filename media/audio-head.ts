import type { AudioEncoding } from '../pipelines/media.js';
import type { ArtifactInfo } from '../stores/artifacts/store.js';
import { ENCODINGS } from './encodings.js';
import { invalidMedia, isSampleRate, MOST_CHANNELS } from './wav-format.js';

/** MPEG-1 sample rates in Hz, by index; MPEG-2 has half of each, MPEG-2.5 a quarter. */
const MPEG_RATES = [44_100, 48_000, 32_000];
/** Opus always decodes at this rate (RFC 7845 §5.1). */
const OPUS_RATE = 48_000;
/** Offset of the first packet of an Ogg stream: after the header of a page with one segment (RFC 3533 §6). */
const OGG_PACKET = 28;

/**
 * Reads the header of an audio file other than WAV. Duration, rate and channel count are returned only where the header
 * has them at a fixed position, as in FLAC; otherwise a decoder would be needed. Throws `INVALID_MEDIA` for values that
 * no valid file has.
 */
export function infoOfHead(encoding: Exclude<AudioEncoding, 'wav'>, head: Uint8Array): ArtifactInfo {
  const info = { mime: ENCODINGS[encoding].mime, ...detailsOf(encoding, head) };
  const { sampleRate, channels } = info;
  if (sampleRate !== undefined && !isSampleRate(sampleRate))
    throw invalidMedia(`the ${encoding} file’s head gives a sample rate of ${sampleRate} Hz, which is not supported`);
  if (channels !== undefined && (channels < 1 || channels > MOST_CHANNELS))
    throw invalidMedia(`the ${encoding} file’s head gives ${channels} channels; 1 to ${MOST_CHANNELS} are supported`);
  return info;
}

type Details = Omit<ArtifactInfo, 'mime'>;

function detailsOf(encoding: Exclude<AudioEncoding, 'wav'>, head: Uint8Array): Details {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (encoding === 'flac') return flacInfo(view);
  if (encoding === 'ogg') return oggInfo(view, Buffer.from(head).toString('latin1'));
  if (encoding === 'mp3' && head[0] === 0xff) return mpegInfo(view);
  return {};
}

/** STREAMINFO, which must come first (RFC 9639 §8.2). */
function flacInfo(view: DataView): Details {
  const packed = view.getUint32(18);
  const sampleRate = packed >>> 12;
  const frames = (view.getUint8(21) & 0x0f) * 2 ** 32 + view.getUint32(22);
  if ((view.getUint8(4) & 0x7f) !== 0 || sampleRate === 0) throw invalidMedia('the FLAC file has no STREAMINFO block');
  return {
    sampleRate,
    channels: ((packed >>> 9) & 7) + 1,
    // Zero if the encoder did not know the length.
    ...(frames > 0 && { durationMs: Math.round((frames * 1000) / sampleRate) }),
  };
}

function oggInfo(view: DataView, text: string): Details {
  if (text.startsWith('OpusHead', OGG_PACKET))
    return { sampleRate: OPUS_RATE, channels: view.getUint8(OGG_PACKET + 9) };
  if (text.startsWith('\x01vorbis', OGG_PACKET))
    return { sampleRate: view.getUint32(OGG_PACKET + 12, true), channels: view.getUint8(OGG_PACKET + 11) };
  return {};
}

function mpegInfo(view: DataView): Details {
  const version = (view.getUint8(1) >> 3) & 3; // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
  const rate = MPEG_RATES[(view.getUint8(2) >> 2) & 3] as number; // the sniffer has rejected the fourth value
  const mono = view.getUint8(3) >> 6 === 3;
  return { sampleRate: version === 3 ? rate : version === 2 ? rate / 2 : rate / 4, channels: mono ? 1 : 2 };
}
