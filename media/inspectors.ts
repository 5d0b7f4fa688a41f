import { MillraceError } from '../pipelines/errors.js';
import type { MediaKind } from '../pipelines/media.js';
import type { ArtifactInfo, Inspector } from '../stores/artifacts/store.js';
import { infoOfHead } from './audio-head.js';
import { audioEncodingOf, describeBytes, HEAD_BYTES, imageTypeOf, videoTypeOf } from './sniff.js';
import { invalidMedia } from './wav-format.js';
import { WavInspector } from './wav-inspector.js';

/** Admits only files of one kind of media into the store. Throws `INVALID_MEDIA` with the reason. */
export const inspectorOf = (kind: MediaKind): Inspector => new HeadInspector(CHOICES[kind]);

/** Chooses the inspector by the file's first bytes, which it receives too. */
class HeadInspector implements Inspector {
  #head: Uint8Array = new Uint8Array();
  #chosen: Inspector | undefined;

  constructor(readonly choose: (head: Uint8Array) => Inspector) {}

  push(chunk: Uint8Array): void {
    if (this.#chosen !== undefined) {
      this.#chosen.push(chunk);
      return;
    }
    this.#head = this.#head.length === 0 ? chunk.slice() : Buffer.concat([this.#head, chunk]);
    if (this.#head.length >= HEAD_BYTES) this.#decide();
  }

  end(): ArtifactInfo {
    return (this.#chosen ?? this.#decide()).end();
  }

  #decide(): Inspector {
    const chosen = this.choose(this.#head);
    chosen.push(this.#head);
    this.#head = new Uint8Array();
    this.#chosen = chosen;
    return chosen;
  }
}

function audioInspector(head: Uint8Array): Inspector {
  const encoding = audioEncodingOf(head);
  if (encoding === 'wav' || mayBeWav(head)) return new WavInspector();
  if (encoding === undefined)
    throw invalidMedia(`the file is not WAV, MP3, FLAC, Ogg, WebM or MP4 audio: it ${describeBytes(head)}`);
  if (head.length < HEAD_BYTES)
    throw invalidMedia(
      `the ${encoding} file is truncated: it ends after ${head.length} bytes, inside its first header`,
    );
  return known(infoOfHead(encoding, head));
}

function imageInspector(head: Uint8Array): Inspector {
  const mime = imageTypeOf(head);
  if (mime === undefined)
    throw invalidMedia(`the file is not a PNG, JPEG, WebP or GIF image: it ${describeBytes(head)}`);
  return known({ mime });
}

function videoInspector(head: Uint8Array): Inspector {
  const mime = videoTypeOf(head);
  if (mime === undefined)
    throw invalidMedia(`the file is not MP4, WebM, Matroska or AVI video: it ${describeBytes(head)}`);
  return known({ mime });
}

/** Any file: one that looks like media is inspected as such, and what is wrong with it is no reason to refuse it. */
function fileInspector(head: Uint8Array): Inspector {
  if (head.length === 0) throw invalidMedia('the file is empty');
  const video = videoTypeOf(head);
  if (video !== undefined) return known({ mime: video });
  if (audioEncodingOf(head) !== undefined && head.length >= HEAD_BYTES) return new Tolerant(() => audioInspector(head));
  const start = Buffer.from(head.subarray(0, 5)).toString('latin1');
  const mime =
    imageTypeOf(head) ??
    (start === '%PDF-' ? 'application/pdf' : start.startsWith('PK\x03\x04') ? 'application/zip' : undefined);
  return mime === undefined ? new TextInspector() : known({ mime });
}

/** What a file is that no inspector knows. */
const BYTES: ArtifactInfo = { mime: 'application/octet-stream' };

/** The inspector of another kind, whose refusal makes the file one of bytes. */
class Tolerant implements Inspector {
  #inspector: Inspector | undefined;

  constructor(choose: () => Inspector) {
    this.#inspector = this.#attempt(choose);
  }

  push(chunk: Uint8Array): void {
    this.#attempt(() => this.#inspector?.push(chunk));
  }

  end(): ArtifactInfo {
    return this.#attempt(() => this.#inspector?.end()) ?? BYTES;
  }

  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'INVALID_MEDIA')) throw error;
      this.#inspector = undefined;
      return undefined;
    }
  }
}

/** Text if all of the file is UTF-8 without NUL characters. */
class TextInspector implements Inspector {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #text = true;

  push(chunk: Uint8Array): void {
    this.#text &&= !chunk.includes(0) && this.#decodes(chunk);
  }

  end(): ArtifactInfo {
    return this.#text && this.#decodes() ? { mime: 'text/plain' } : BYTES;
  }

  /** Without a chunk: whether the text is complete. */
  #decodes(chunk?: Uint8Array): boolean {
    try {
      this.#decoder.decode(chunk, { stream: chunk !== undefined });
      return true;
    } catch {
      return false;
    }
  }
}

const CHOICES: Readonly<Record<MediaKind, (head: Uint8Array) => Inspector>> = {
  audio: audioInspector,
  image: imageInspector,
  video: videoInspector,
  file: fileInspector,
};

/**
 * Whether the file is a WAV cut inside its first word, or an unsupported RIFF file: the WAV reader reports the reason.
 */
function mayBeWav(head: Uint8Array): boolean {
  const id = Buffer.from(head.subarray(0, 4)).toString('latin1');
  return id !== '' && ['RIFF', 'RIFX', 'RF64', 'BW64'].some((known) => known.startsWith(id));
}

/** Only the header of these files is inspected; decoding errors appear when they are decoded. */
const known = (info: ArtifactInfo): Inspector => ({ push: () => undefined, end: () => info });
