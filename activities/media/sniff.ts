/**
 * Names what bytes look like, for the message of a refused upload: people send MP3 or M4A with a WAV's name, or the JSON
 * error of another service. Looks at the first `SNIFF_BYTES` bytes at most and never decides what is accepted.
 */
export const SNIFF_BYTES = 12;

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
  { magic: '%PDF', name: 'PDF' },
  { magic: 'PK\x03\x04', name: 'a ZIP archive' },
  { magic: '\x1f\x8b', name: 'gzip' },
];

/** "looks like MP3", "is plain text", "is of an unknown format (first bytes 0x…)". */
export function describeBytes(head: Uint8Array): string {
  if (head.length === 0) return 'is empty';
  const text = Buffer.from(head.subarray(0, SNIFF_BYTES)).toString('latin1');
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
