import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { TakeMedia } from '../../media/index.js';
import { artifactJson } from '../../pipelines/artifact.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import type { GatewayLimits } from '../deps.js';
import { parseExactJson } from '../http/json-body.js';
import { Blocks } from './blocks.js';
import type { HeldBody } from './body-budget.js';
import { type InputForm, invalidInput, MOST_PARTS } from './input-form.js';
import { InputParts } from './input-parts.js';
import { expectModest } from './input-size.js';
import { ModestJson } from './json-size.js';
import type { MediaIntake } from './media-intake.js';
import { emptyBody, type Upload } from './upload.js';
import { utf8Text } from './utf8-text.js';

type FileStream = MultipartFile['file'];
/** A part of the form. Parts that are not files are streams too, so that no more than the limit is read into memory. */
type Part = MultipartFile;

/** The part with the fields that are not files, as one JSON object. */
const INPUT_PART = 'input';
/** Its type, which tells it from a field of that name. */
const INPUT_TYPE = 'application/vnd.millrace.input+json';

/**
 * Reads a multipart body (RFC 7578) with its parts in any order: files by the path of their field (with one media field
 * in the input, a single file may have any name), other fields as a JSON object in the part `input` or as separate
 * parts. Files are streamed to the store.
 */
export async function readMultipart(
  request: FastifyRequest,
  form: InputForm,
  intake: MediaIntake,
  upload: Upload,
  limits: GatewayLimits,
): Promise<JsonObject> {
  const given = new InputParts(form);
  const take: TakeMedia = async (value, { path, kind }) => artifactJson(await intake.fromJson(path, value, kind));
  const json = new ModestJson();
  let parts = 0;
  let textBytes = 0;
  for await (const part of partsOf(request, upload)) {
    parts++;
    const isInput = isInputPart(part, form);
    if (isFile(part) && !isInput) {
      const { path, kind } = fileField(part.fieldname, form, given);
      given.expectFree(path);
      given.add(path, artifactJson(await intake.fromFile(path, fileBytes(part.file), upload, kind)));
      continue;
    }
    const bytes = await readText(part, upload, request.held, limits.maxJsonBytes);
    // Each part has a limit; their sum must not exceed that of a JSON body.
    textBytes += bytes.length;
    if (textBytes > limits.maxJsonBytes) throw textTooLarge(limits.maxJsonBytes);
    if (isInput || isJson(part)) json.expect(bytes, part.fieldname, { names: !isJson(part) });
    const text = utf8Text(bytes, part.fieldname, isInput || isJson(part) ? 'INVALID_JSON' : 'INVALID_INPUT');
    const value = isJson(part) ? parseExactJson(text, part.fieldname, isInput ? undefined : part.fieldname) : text;
    if (typeof value !== 'string') expectModest(value, part.fieldname);
    if (isInput) {
      for (const [field, inner] of Object.entries(parseInput(value)))
        given.add(field, await form.withMedia(field, inner, take));
    } else {
      const field = fieldOf(part.fieldname, form);
      const path = field === part.fieldname ? field : given.nextOf(field);
      given.add(path, await readPart(path, value, { form, intake, take, json }));
    }
  }
  if (parts === 0) throw emptyBody();
  return given.whole();
}

/** The list of a part whose name ends with `[]`, as web forms write an item of a list; otherwise the name itself. */
function fieldOf(name: string, form: InputForm): string {
  const list = name.endsWith('[]') ? name.slice(0, -2) : name;
  return !form.has(name) && form.isList(list) ? list : name;
}

interface Reading {
  readonly form: InputForm;
  readonly intake: MediaIntake;
  readonly take: TakeMedia;
  /** Of all parts. */
  readonly json: ModestJson;
}

/** Reads a part that is not a file: a reference to media, or the value of a field. */
async function readPart(path: string, value: Json, { form, intake, take, json }: Reading) {
  const kind = form.kindAt(path);
  if (kind !== undefined) {
    const reference = typeof value === 'string' ? referenceOf(path, value.trim(), json) : value;
    return artifactJson(await intake.fromJson(path, reference, kind));
  }
  return await form.withMedia(path, typeof value === 'string' ? form.fromText(path, value, json) : value, take);
}

/** Media as text: an address, or an object as in a JSON body. */
function referenceOf(path: string, text: string, json: ModestJson): Json {
  if (!text.startsWith('{')) return { uri: text };
  json.expect(Buffer.from(text), path);
  return parseExactJson(text, path, path);
}

function textTooLarge(maxBytes: number): MillraceError {
  const message = `its parts that are not files are together above the limit of ${maxBytes} bytes`;
  return new MillraceError('BODY_TOO_LARGE', `the body: ${message}`, { fields: [{ field: 'body', message }] });
}

/** Yields the parts as they arrive. Errors of the parser become `INVALID_MULTIPART`. */
async function* partsOf(request: FastifyRequest, upload: Upload): AsyncGenerator<Part, void> {
  const options = {
    // The reader of a part applies its limit, with an error that names the field.
    limits: { fileSize: Number.POSITIVE_INFINITY, parts: MOST_PARTS },
    // The parser would buffer parts that are not files in memory, several of them before the first is read.
    isPartAFile: () => true,
  };
  let iterator: AsyncIterator<Part>;
  try {
    iterator = request.parts(options) as AsyncIterator<Part>;
  } catch (error) {
    throw invalidMultipart(error);
  }
  for (;;) {
    const next = await upload.arrival(iterator.next().catch(rethrow));
    if (next.done) return;
    // The parser passes parts on that violate RFC 7578 so.
    if ((next.value.fieldname as string | undefined) === undefined)
      throw invalidMultipart(new Error('a part has no name in its Content-Disposition'));
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

/** Recognizes files as the form's encoding does, and also media that a client sends without a file name. */
const isFile = ({ filename, mimetype }: Part): boolean =>
  filename !== undefined || mimetype === 'application/octet-stream' || /^(audio|image)\//.test(mimetype);

/** Of a pipeline with a field `input` only the part of the type is the JSON object: the clients do not know its fields. */
const isInputPart = ({ fieldname, mimetype }: Part, form: InputForm): boolean =>
  fieldname === INPUT_PART && (mimetype === INPUT_TYPE || !form.fields.has(INPUT_PART));

async function readText({ fieldname, file }: Part, upload: Upload, held: HeldBody, maxBytes: number): Promise<Buffer> {
  const blocks = new Blocks();
  for await (const piece of upload.file(fileBytes(file), Number.POSITIVE_INFINITY)) {
    if (blocks.size + piece.length > maxBytes) {
      const message = `is above the limit of ${maxBytes} bytes`;
      throw new MillraceError('BODY_TOO_LARGE', `${fieldname} ${message}`, { fields: [{ field: fieldname, message }] });
    }
    held.take(piece.length);
    blocks.push(piece);
  }
  return Buffer.concat(blocks.take());
}

/** The field of a file: the one that its part names, or the only media field of the input. */
function fileField(sent: string, form: InputForm, given: InputParts): { path: string; kind: MediaKind } {
  const name = fieldOf(sent, form);
  const [only = ''] = form.media.size === 1 && !form.has(name) ? form.media : [name];
  const list = form.isList(only) ? only : /^(.+)\.\*$/.exec(only)?.[1];
  const path = list !== undefined && form.isList(list) ? given.nextOf(list) : only;
  const kind = form.kindAt(path);
  if (kind !== undefined && !path.includes('*')) return { path, kind };
  const known = [...form.media].join(', ') || 'none';
  const message = form.has(name)
    ? 'does not accept a file'
    : `unknown field; the pipeline’s media fields are: ${known}`;
  throw invalidInput([{ field: name || 'body', message }]);
}

/** A part of type application/json is parsed; other clients send JSON as text. */
const isJson = (part: Part): boolean => !isFile(part) && part.mimetype.startsWith('application/json');

function parseInput(value: Json): JsonObject {
  const parsed = typeof value === 'string' ? parseExactJson(value, INPUT_PART) : value;
  if (isJsonObject(parsed)) return parsed;
  throw invalidInput([{ field: INPUT_PART, message: 'must be a JSON object' }]);
}

const rethrow = (error: unknown): never => {
  throw error instanceof MillraceError ? error : invalidMultipart(error);
};

/** Limits and JSON parts have codes of their own; other errors mean that the body violates RFC 7578. */
function invalidMultipart(error: unknown): MillraceError {
  const code = (error as { code?: string }).code ?? '';
  const fields = [{ field: 'body', message: messageOf(error) }];
  if (/_LIMIT$/.test(code)) {
    return new MillraceError('BODY_TOO_LARGE', `the body has more than ${MOST_PARTS} parts`, { fields });
  }
  return new MillraceError('INVALID_MULTIPART', `the multipart body cannot be read: ${messageOf(error)}`, { fields });
}
