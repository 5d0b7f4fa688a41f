import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { TakeMedia } from '../../activities/media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import type { GatewayLimits } from '../deps.js';
import { parseJson } from '../http/json-body.js';
import { type InputForm, invalidInput, MOST_PARTS } from './input-form.js';
import { InputParts } from './input-parts.js';
import { expectModest } from './input-size.js';
import type { MediaIntake } from './media-intake.js';
import { emptyBody, type Upload } from './upload.js';

type FileStream = MultipartFile['file'];

/** The part that holds the fields that are no files, as one JSON object. */
const INPUT_PART = 'input';

/**
 * Reads a multipart body (RFC 7578), in any order of parts: files by the path of their field (a single file may have any
 * name where the input has one media field), other fields as a JSON object in the part `input` or as parts of their own.
 * Files go to the store as they arrive.
 */
export async function readMultipart(
  request: FastifyRequest,
  form: InputForm,
  intake: MediaIntake,
  upload: Upload,
  limits: GatewayLimits,
): Promise<JsonObject> {
  const given = new InputParts(form);
  const take: TakeMedia = async (value, { path, kind }) => asJson(await intake.fromJson(path, value, kind));
  let parts = 0;
  let textBytes = 0;
  for await (const part of partsOf(request, upload, limits)) {
    parts++;
    const isInput = part.fieldname === INPUT_PART && !form.fields.has(INPUT_PART);
    if (part.type === 'file' && !isInput) {
      const { path, kind } = filePlace(part.fieldname, form, given);
      given.expectFree(path);
      given.add(path, asJson(await intake.fromFile(path, fileBytes(part.file), upload, kind)));
      continue;
    }
    const value =
      part.type === 'file' ? await readText(part.file, upload, limits.maxJsonBytes) : fieldValue(part, limits);
    // The parser reads JSON of any depth; writing it again, as the next line does, would overflow the stack.
    if (typeof value !== 'string') expectModest(value, part.fieldname);
    // Each part has its limit; together they must not exceed what one body of JSON may be.
    textBytes += Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
    if (textBytes > limits.maxJsonBytes) throw textTooLarge(limits.maxJsonBytes);
    if (isInput) {
      for (const [field, inner] of Object.entries(parseInput(value)))
        given.add(field, await form.withMedia(field, inner, take));
    } else given.add(part.fieldname, await readPart(part.fieldname, value, form, intake, take));
  }
  if (parts === 0) throw emptyBody();
  return given.whole();
}

/** A part that is no file: a reference to media, or the value of a field. */
async function readPart(path: string, value: Json, form: InputForm, intake: MediaIntake, take: TakeMedia) {
  const kind = form.kindAt(path);
  if (kind !== undefined)
    return asJson(await intake.fromJson(path, typeof value === 'string' ? { uri: value.trim() } : value, kind));
  return await form.withMedia(path, typeof value === 'string' ? form.fromText(path, value) : value, take);
}

const asJson = (artifact: Artifact): Json => ({ ...artifact }) as unknown as Json;

function textTooLarge(maxBytes: number): MillraceError {
  const message = `its parts that are no files are above the limit of ${maxBytes} bytes together`;
  return new MillraceError('BODY_TOO_LARGE', `the body: ${message}`, { fields: [{ field: 'body', message }] });
}

/** The parts as they arrive. What the parser throws is `INVALID_MULTIPART`. */
async function* partsOf(
  request: FastifyRequest,
  upload: Upload,
  limits: GatewayLimits,
): AsyncGenerator<Multipart, void> {
  const options = {
    limits: {
      fileSize: Number.POSITIVE_INFINITY, // the intake has its own limit, which names the field
      fieldSize: limits.maxJsonBytes,
      parts: MOST_PARTS,
    },
    // As by default, and media that a client sends without a file name.
    isPartAFile: (_: string | undefined, type: string | undefined, file: string | undefined) =>
      file !== undefined || type === 'application/octet-stream' || /^(audio|image)\//.test(type ?? ''),
  };
  let iterator: AsyncIterator<Multipart>;
  try {
    iterator = request.parts(options);
  } catch (error) {
    throw invalidMultipart(error);
  }
  for (;;) {
    const next = await upload.arrival(iterator.next().catch(rethrow));
    if (next.done) return;
    yield next.value;
  }
}

async function* fileBytes(file: FileStream): AsyncGenerator<Uint8Array, void> {
  const iterator = file[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = (await iterator.next().catch(rethrow)) as IteratorResult<Uint8Array>;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    file.destroy();
  }
}

async function readText(file: FileStream, upload: Upload, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of upload.file(fileBytes(file), maxBytes)) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

/** Where a file goes: to the path that its part is named after, or to the only media that the input has. */
function filePlace(name: string, form: InputForm, given: InputParts): { path: string; kind: MediaKind } {
  const [only = ''] = form.media.size === 1 && !form.has(name) ? form.media : [name];
  const list = form.isList(only) ? only : /^(.+)\.\*$/.exec(only)?.[1];
  const path = list !== undefined && form.isList(list) ? given.nextOf(list) : only;
  const kind = form.kindAt(path);
  if (kind !== undefined && !path.includes('*')) return { path, kind };
  const known = [...form.media].join(', ') || 'none';
  const message = form.has(name) ? 'takes no file' : `unknown field; the pipeline’s media fields are: ${known}`;
  throw invalidInput([{ field: name || 'body', message }]);
}

function fieldValue(part: Exclude<Multipart, { type: 'file' }>, limits: GatewayLimits): Json {
  if (part.valueTruncated || part.fieldnameTruncated) {
    const message = `is above the limit of ${limits.maxJsonBytes} bytes`;
    throw new MillraceError('BODY_TOO_LARGE', `${part.fieldname} ${message}`, {
      fields: [{ field: part.fieldname, message }],
    });
  }
  return part.value as Json;
}

/** The parser reads a part of type application/json itself; other clients send it as text. */
function parseInput(value: Json): JsonObject {
  const parsed = typeof value === 'string' ? parseJson(value, INPUT_PART) : value;
  if (isJsonObject(parsed)) return parsed;
  throw invalidInput([{ field: INPUT_PART, message: 'must be a JSON object' }]);
}

const rethrow = (error: unknown): never => {
  throw error instanceof MillraceError ? error : invalidMultipart(error);
};

/** Limits and JSON parts have codes of their own; everything else means that the body breaks RFC 7578. */
function invalidMultipart(error: unknown): MillraceError {
  const code = (error as { code?: string }).code ?? '';
  const fields = [{ field: 'body', message: messageOf(error) }];
  if (/_LIMIT$/.test(code)) {
    return new MillraceError('BODY_TOO_LARGE', `the body has more than ${MOST_PARTS} parts`, { fields });
  }
  if (code === 'FST_INVALID_JSON_FIELD_ERROR') {
    return new MillraceError('INVALID_JSON', 'a part of type application/json is not JSON', { fields });
  }
  return new MillraceError('INVALID_MULTIPART', `the multipart body cannot be read: ${messageOf(error)}`, { fields });
}
