import type { AudioEncoding } from '../pipelines/media.js';

/** Number of first bytes that `describeBytes` uses. */
export const SNIFF_BYTES = 12;
/** Number of first bytes that `audioEncodingOf` and `imageTypeOf` use. */
export const HEAD_BYTES = 64;

interface Signature {
  readonly at?: number;
  readonly magic: string;
  readonly name: string;
}

/** Magic numbers as Latin-1 text. */
const SIGNATURES: readonly Signature[] = [
  { magic: 'ID3', name: 'MP3' },
  { magic: 'OggS', name: 'Ogg (Vorbis or Opus)' },
  { magic: 'fLaC', name: 'FLAC' },
  { magic: 'FORM', name: 'AIFF' },
  { magic: 'caff', name: 'Core Audio (CAF)' },
  { magic: '.snd', name: 'Sun AU' },
  { magic: '#!AMR', name: 'AMR' },
  { magic: 'ftyp', at: 4, name: 'MP4 or M4A' },
  { magic: '\x1aE\xdf\xa3', name: 'WebM or Matroska' },
  { magic: 'AVI ', at: 8, name: 'AVI video' },
  { magic: 'WEBP', at: 8, name: 'a WebP image' },
  { magic: '\x89PNG', name: 'a PNG image' },
  { magic: '\xff\xd8\xff', name: 'a JPEG image' },
  { magic: 'GIF8', name: 'a GIF image' },
  { magic: 'II*\0', name: 'a TIFF image' },
  { magic: 'MM\0*', name: 'a TIFF image' },
  { magic: '%PDF', name: 'PDF' },
  { magic: 'PK\x03\x04', name: 'a ZIP archive' },
  { magic: '\x1f\x8b', name: 'gzip' },
];

/** Brands of the MP4 family (ISO/IEC 14496-12 §4.3) that are still images: HEIF and AVIF. */
const IMAGE_BRANDS: ReadonlySet<string> = new Set([
  'heic',
  'heix',
  'heim',
  'heis',
  'hevc',
  'mif1',
  'msf1',
  'avif',
  'avis',
]);

/** The encoding of an audio file by its first `HEAD_BYTES` bytes; undefined for anything else, big-endian WAV included. */
export function audioEncodingOf(head: Uint8Array): AudioEncoding | undefined {
  const text = latin1(head, HEAD_BYTES);
  if (text.startsWith('RIFF') && text.startsWith('WAVE', 8)) return 'wav';
  if (text.startsWith('fLaC')) return 'flac';
  if (text.startsWith('OggS')) return 'ogg';
  if (text.startsWith('ID3') || isLayer3(head)) return 'mp3';
  if (text.startsWith('\x1aE\xdf\xa3')) return text.includes('webm') ? 'webm' : undefined;
  if (text.startsWith('ftyp', 4)) return IMAGE_BRANDS.has(text.slice(8, 12)) ? undefined : 'mp4';
  return undefined;
}

/** Brands of MP4 files that hold audio only. */
const AUDIO_BRANDS: ReadonlySet<string> = new Set(['M4A ', 'M4B ', 'M4P ']);

/** The media type of an MP4 (also QuickTime), WebM, Matroska or AVI file by its first `HEAD_BYTES` bytes. */
export function videoTypeOf(head: Uint8Array): string | undefined {
  const text = latin1(head, HEAD_BYTES);
  if (text.startsWith('RIFF') && text.startsWith('AVI ', 8)) return 'video/x-msvideo';
  if (text.startsWith('\x1aE\xdf\xa3'))
    return text.includes('webm') ? 'video/webm' : text.includes('matroska') ? 'video/x-matroska' : undefined;
  if (!text.startsWith('ftyp', 4)) return undefined;
  const brand = text.slice(8, 12);
  return IMAGE_BRANDS.has(brand) || AUDIO_BRANDS.has(brand) ? undefined : 'video/mp4';
}

/** The media type of a PNG, JPEG, WebP or GIF by its first bytes. */
export function imageTypeOf(head: Uint8Array): string | undefined {
  const text = latin1(head, SNIFF_BYTES);
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (text.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (text.startsWith('RIFF') && text.startsWith('WEBP', 8)) return 'image/webp';
  return text.startsWith('GIF87a') || text.startsWith('GIF89a') ? 'image/gif' : undefined;
}

/**
 * Describes the format of bytes for the message of a rejected upload, such as AIFF named .wav or a JSON error of
 * another service: "looks like MP3", "is plain text", "is of an unknown format (first bytes 0x…)".
 */
export function describeBytes(head: Uint8Array): string {
  if (head.length === 0) return 'is empty';
  const text = latin1(head, SNIFF_BYTES);
  if (text.startsWith('ftyp', 4) && IMAGE_BRANDS.has(text.slice(8, 12))) return 'looks like a HEIC or AVIF image';
  const known = SIGNATURES.find(({ at = 0, magic }) => text.startsWith(magic, at));
  if (known !== undefined) return `looks like ${known.name}`;
  if (isMpegSync(head)) return 'looks like MP3 or AAC';
  if (/^\s*[{[]/.test(text)) return 'looks like JSON';
  if (/^\s*</.test(text)) return 'looks like HTML or XML';
  if (/^[\t\r\n\x20-\x7e]+$/.test(text)) return 'is plain text';
  return `is of an unknown format (first bytes 0x${Buffer.from(head.subarray(0, 4)).toString('hex')})`;
}

/** Eleven set bits start every MPEG audio frame (ISO/IEC 11172-3 §2.4.1.3) and every ADTS frame of AAC. */
const isMpegSync = ([first = 0, second = 0]: Uint8Array): boolean => first === 0xff && (second & 0xe0) === 0xe0;

/**
 * Whether the bytes are a header of an MPEG audio layer III frame without reserved values. Other layers are excluded:
 * the byte order mark of UTF-16 text would pass for layer I.
 */
const isLayer3 = (head: Uint8Array): boolean => {
  const [, second = 0, third = 0] = head;
  const version = (second >> 3) & 3;
  const layer = (second >> 1) & 3;
  return isMpegSync(head) && version !== 1 && layer === 1 && third >> 4 !== 15 && ((third >> 2) & 3) !== 3;
};

const latin1 = (head: Uint8Array, most: number): string => Buffer.from(head.subarray(0, most)).toString('latin1');
