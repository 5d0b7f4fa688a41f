import type { AudioEncoding } from '../pipelines/media.js';

interface EncodingRow {
  readonly mime: string;
  /** File name extension for downloads. */
  readonly extension: string;
  /**
   * ffmpeg's demuxer, absent if none is needed. Always set explicitly: with detection, a playlist could pass for audio.
   */
  readonly demuxer?: string;
}

/** The supported audio files. WebM and MP4 may contain video too; only their first audio track is read. */
export const ENCODINGS: Readonly<Record<AudioEncoding, EncodingRow>> = {
  wav: { mime: 'audio/wav', extension: '.wav' },
  mp3: { mime: 'audio/mpeg', extension: '.mp3', demuxer: 'mp3' },
  flac: { mime: 'audio/flac', extension: '.flac', demuxer: 'flac' },
  ogg: { mime: 'audio/ogg', extension: '.ogg', demuxer: 'ogg' },
  webm: { mime: 'audio/webm', extension: '.webm', demuxer: 'matroska' },
  mp4: { mime: 'audio/mp4', extension: '.m4a', demuxer: 'mov' },
};

const EXTENSIONS: Readonly<Record<string, string>> = {
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/webp': '.webp',
  'image/gif': '.gif',
  'video/x-matroska': '.mkv',
  'video/x-msvideo': '.avi',
  'application/pdf': '.pdf',
  'application/zip': '.zip',
  'text/plain': '.txt',
};

const BY_MIME: ReadonlyMap<string, AudioEncoding> = new Map(
  (Object.keys(ENCODINGS) as AudioEncoding[]).map((encoding) => [ENCODINGS[encoding].mime, encoding]),
);

/** The encoding of stored audio, or of the container of a video; undefined for a media type without audio. */
export const encodingOf = (mime: string): AudioEncoding | undefined => BY_MIME.get(mime.replace(/^video\//, 'audio/'));

/** The file name extension of a media type, with its dot; empty if unknown. */
export function extensionOf(mime: string): string {
  const encoding = encodingOf(mime);
  if (encoding === undefined) return EXTENSIONS[mime] ?? '';
  return mime.startsWith('video/') ? `.${encoding}` : ENCODINGS[encoding].extension;
}
