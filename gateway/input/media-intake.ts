import { inspectorOf } from '../../media/index.js';
import { type Artifact, parseArtifactUri } from '../../pipelines/artifact.js';
import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import { type ArtifactStore, fileTurns } from '../../stores/artifacts/index.js';
import type { GatewayLimits } from '../deps.js';
import type { HeldBody } from './body-budget.js';
import { fetchedMedia, fetchingOfRequest, isOnTheNetwork, whyNotFetched } from './fetched-media.js';
import { FileTurn } from './file-turn.js';
import { invalidInput } from './input-form.js';
import { tooLarge, type Upload } from './upload.js';

const FORMS = 'a file, an artifact object, {"uri": "artifact://…"} or {"base64": "…"}';
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const EXAMPLES: Readonly<Record<MediaKind, string>> = {
  audio: 'an audio type such as audio/wav',
  image: 'an image type such as image/png',
  video: 'a video type such as video/mp4',
  file: 'a media type such as application/pdf',
};
/** Characters decoded at a time; a multiple of 4, so that no piece splits a base64 group. */
const BASE64_STEP = 64 * 1024;
/** Bytes of a file in memory that are stored at a time. */
const SLICE = 256 * 1024;
/** Most media of an input: each takes a lookup in the store, and 8 MiB of JSON could contain 80,000 addresses. */
const MOST_MEDIA = 1_000;
/** Most of them that are fetched: each makes a request to another server. */
const MOST_FETCHED = 20;

/** A file of a known length in bytes. */
export interface Pieces {
  readonly length: number;
  readonly pieces: Iterable<Uint8Array>;
}

/** The request whose media are stored. */
export interface Sender {
  readonly tenant: string;
  /** Its share of the memory for bodies, which counts while one of its media is being stored. */
  readonly held: HeldBody;
  /** Aborts when its client has left: nothing more is stored. */
  readonly gone: AbortSignal;
}

/** Codes about the file instead of the request: the error names the field. */
const OF_A_FIELD: ReadonlySet<ErrorCode> = new Set(['INVALID_MEDIA', 'BODY_TOO_LARGE', 'ARTIFACT_NOT_FOUND']);

/**
 * Converts the media values of an input into artifacts of the caller's tenant. The bytes determine the media type,
 * which must be of the kind that the field declares. Errors name the field. Throws `REQUEST_ABORTED` once the client has left.
 */
export class MediaIntake {
  #taken = 0;
  #fetched = 0;
  #fetching: AbortSignal | undefined;
  readonly #origins: readonly string[];
  readonly maxBytes: number;

  constructor(
    readonly store: ArtifactStore,
    readonly sender: Sender,
    { maxAudioBytes, mediaOrigins = [] }: Pick<GatewayLimits, 'maxAudioBytes' | 'mediaOrigins'>,
  ) {
    this.maxBytes = maxAudioBytes;
    this.#origins = mediaOrigins;
  }

  /** Streams a file into the store. */
  fromFile(field: string, bytes: AsyncIterable<Uint8Array>, upload: Upload, kind: MediaKind): Promise<Artifact> {
    return this.#put(field, kind, () => upload.file(bytes, this.maxBytes));
  }

  /** Streams the request's body into the store. */
  fromBody(field: string, upload: Upload, kind: MediaKind): Promise<Artifact> {
    return this.#put(field, kind, () => upload.body(this.maxBytes));
  }

  /** Stores a file that is already in memory. */
  fromBytes(field: string, bytes: Uint8Array, kind: MediaKind): Promise<Artifact> {
    return this.fromPieces(field, { length: bytes.length, pieces: slicesOf(bytes) }, kind);
  }

  /** Stores a file that is generated piece by piece. */
  fromPieces(field: string, { length, pieces }: Pieces, kind: MediaKind): Promise<Artifact> {
    return this.#put(field, kind, () => {
      if (length > this.maxBytes) throw tooLarge(this.maxBytes);
      return stream(pieces);
    });
  }

  /** Reads the JSON forms of a media field. Of an artifact object only the address is used. */
  async fromJson(field: string, value: Json, kind: MediaKind): Promise<Artifact> {
    if (isJsonObject(value) && typeof value.base64 === 'string')
      return this.#fromBase64(field, value.base64, value.mime, kind);
    const uri = isJsonObject(value) ? value.uri : undefined;
    if (typeof uri !== 'string') throw invalidInput([{ field, message: `must be ${FORMS}` }]);
    if (isOnTheNetwork(uri)) return await this.#fromNetwork(field, uri, kind);
    if (parseArtifactUri(uri) === undefined) {
      throw invalidInput([{ field: `${field}.uri`, message: 'is not an address: artifact://<tenant>/<sha256>' }]);
    }
    this.#count(field);
    return await this.#inTurn(field, (tenant) => this.store.stat(tenant, uri));
  }

  async #fromNetwork(field: string, address: string, kind: MediaKind): Promise<Artifact> {
    const why = whyNotFetched(address, this.#origins);
    if (why !== undefined) throw invalidInput([{ field: `${field}.uri`, message: why }]);
    if (++this.#fetched > MOST_FETCHED) {
      const message = `exceeds the limit of ${MOST_FETCHED} media that are fetched for an input`;
      throw invalidInput([{ field: `${field}.uri`, message }]);
    }
    this.#fetching ??= fetchingOfRequest(this.sender.gone);
    const fetching = { origins: this.#origins, maxBytes: this.maxBytes, within: this.#fetching };
    return await this.#put(field, kind, () => fetchedMedia(address, fetching));
  }

  async #fromBase64(field: string, text: string, mime: Json | undefined, kind: MediaKind): Promise<Artifact> {
    if (mime !== undefined && !(typeof mime === 'string' && mime.startsWith(kind === 'file' ? '' : `${kind}/`))) {
      throw invalidInput([{ field: `${field}.mime`, message: `must be ${EXAMPLES[kind]}` }]);
    }
    const base64 = text.replace(/\s+/g, '');
    if (!BASE64.test(base64) || base64.replace(/=+$/, '').length % 4 === 1) {
      throw invalidInput([{ field: `${field}.base64`, message: 'is not base64 (RFC 4648)' }]);
    }
    return await this.#put(field, kind, () => {
      if ((base64.length * 3) / 4 - 2 > this.maxBytes) throw tooLarge(this.maxBytes);
      return decodeBase64(base64);
    });
  }

  async #put(field: string, kind: MediaKind, bytes: () => AsyncIterable<Uint8Array>): Promise<Artifact> {
    this.#count(field);
    return await this.#inTurn(field, (tenant, turn) => this.store.put(tenant, turn.bytes(bytes()), inspectorOf(kind)));
  }

  /** Does what takes the threads for files when it is the tenant's turn; until its end the body counts. */
  async #inTurn<T>(field: string, work: (tenant: string, turn: FileTurn) => Promise<T>): Promise<T> {
    const { tenant, held, gone } = this.sender;
    const turn = new FileTurn(fileTurns(this.store), tenant, gone);
    try {
      return await held.during(() => turn.use(() => about(field, () => work(tenant, turn))));
    } catch (error) {
      throw gone.aborted ? left() : error;
    }
  }

  #count(field: string): void {
    if (++this.#taken > MOST_MEDIA)
      throw invalidInput([{ field, message: `exceeds the limit of ${MOST_MEDIA} media in an input` }]);
  }
}

const left = () => new MillraceError('REQUEST_ABORTED', 'the client disconnected before its media were stored');

async function* stream(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield* pieces;
}

/** Parts of a file, without copying. The event loop is free between them: to hash 64 MiB takes tenths of a second. */
function* slicesOf(bytes: Uint8Array): Generator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += SLICE) yield bytes.subarray(at, at + SLICE);
}

async function* decodeBase64(text: string): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < text.length; at += BASE64_STEP) yield Buffer.from(text.slice(at, at + BASE64_STEP), 'base64');
}

async function about<T>(field: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MillraceError) || !OF_A_FIELD.has(error.code)) throw error;
    const { code, message } = error;
    throw new MillraceError(code, `${field}: ${message}`, { fields: [{ field, message }] }, { cause: error });
  }
}
