import type { ArtifactStore } from '../activities/artifacts/index.js';
import { WavInspector } from '../activities/media/index.js';
import { type Artifact, parseArtifactUri } from '../pipelines/artifact.js';
import { type ErrorCode, MillraceError } from '../pipelines/errors.js';
import { isJsonObject, type Json } from '../pipelines/json.js';
import { invalidInput } from './input-form.js';
import { tooLarge, type Upload } from './upload.js';

const FORMS = 'a file, an artifact object, {"uri": "artifact://…"} or {"base64": "…"}';
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
/** Characters decoded at a time; a multiple of 4, so that no piece ends inside a group. */
const BASE64_STEP = 64 * 1024;

/** What is about the file and not about the request, so that the field has to be named. */
const OF_A_FIELD: ReadonlySet<ErrorCode> = new Set(['INVALID_MEDIA', 'BODY_TOO_LARGE', 'ARTIFACT_NOT_FOUND']);

/** Turns what a caller sent for a media field into an artifact of the caller's tenant. Errors name the field. */
export class MediaIntake {
  constructor(
    readonly store: ArtifactStore,
    readonly tenant: string,
    readonly maxBytes: number,
  ) {}

  /** Streams a file into the store. */
  fromFile(field: string, bytes: AsyncIterable<Uint8Array>, upload: Upload): Promise<Artifact> {
    return about(field, () => this.store.put(this.tenant, upload.file(bytes, this.maxBytes), new WavInspector()));
  }

  /** Streams the request's body into the store. */
  fromBody(field: string, upload: Upload): Promise<Artifact> {
    return about(field, () => this.store.put(this.tenant, upload.body(this.maxBytes), new WavInspector()));
  }

  /** Reads the JSON forms of a media field. Of an artifact object only the address is believed. */
  async fromJson(field: string, value: Json): Promise<Artifact> {
    if (isJsonObject(value) && typeof value.base64 === 'string')
      return this.#fromBase64(field, value.base64, value.mime);
    const uri = isJsonObject(value) ? value.uri : undefined;
    if (typeof uri !== 'string') throw invalidInput([{ field, message: `must be ${FORMS}` }]);
    if (parseArtifactUri(uri) === undefined) {
      throw invalidInput([{ field: `${field}.uri`, message: 'is not an address: artifact://<tenant>/<sha256>' }]);
    }
    return about(field, async () => {
      if (parseArtifactUri(uri)?.tenant === this.tenant) return await this.store.stat(uri);
      throw new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${uri}`); // another tenant's does not exist
    });
  }

  async #fromBase64(field: string, text: string, mime: Json | undefined): Promise<Artifact> {
    if (mime !== undefined && !(typeof mime === 'string' && mime.startsWith('audio/'))) {
      throw invalidInput([{ field: `${field}.mime`, message: 'must be an audio type such as audio/wav' }]);
    }
    const base64 = text.replace(/\s+/g, '');
    if (!BASE64.test(base64) || base64.replace(/=+$/, '').length % 4 === 1) {
      throw invalidInput([{ field: `${field}.base64`, message: 'is not base64 (RFC 4648)' }]);
    }
    return about(field, async () => {
      if ((base64.length * 3) / 4 - 2 > this.maxBytes) throw tooLarge(this.maxBytes);
      return await this.store.put(this.tenant, decodeBase64(base64), new WavInspector());
    });
  }
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
