import type { FastifyRequest } from 'fastify';
import type { TakeMedia } from '../../media/index.js';
import { artifactJson } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { unknownFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { CheckedInput } from '../../runs/sent-input.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { GatewayLimits } from '../deps.js';
import { forgetBody } from './held-bodies.js';
import { type InputForm, invalidInput } from './input-form.js';
import { InputParts } from './input-parts.js';
import { MediaIntake, type Sender } from './media-intake.js';
import { readMultipart } from './multipart-input.js';
import { emptyBody, swallowRest, Upload } from './upload.js';

/** The value of a body that the content type parsers leave unread for `readInput` to stream. */
export const STREAMED = Symbol('millrace.streamed-body');

/**
 * Reads a run's input from a request body: multipart, JSON, or a bare media file for an input with one media field.
 * Media are streamed to the store and replaced by artifacts; then the whole input is validated. Media of a rejected
 * input stay in the store, unreferenced, like the artifacts of expired runs.
 */
export async function readInput(
  request: FastifyRequest,
  form: InputForm,
  sender: Sender,
  store: ArtifactStore,
  limits: GatewayLimits,
): Promise<CheckedInput> {
  const upload = new Upload(request.raw, limits.uploadTimeoutMs);
  const intake = new MediaIntake(store, sender, limits);
  try {
    const given = request.isMultipart()
      ? await readMultipart(request, form, intake, upload, limits)
      : request.body === STREAMED
        ? await readFile(form, intake, upload)
        : await readObject(request.body as Json | undefined, form, intake);
    const input = form.parse(given);
    forgetBody(request);
    return { input, given };
  } catch (error) {
    swallowRest(request.raw);
    throw error;
  } finally {
    upload.end();
  }
}

/** Reads a run's input from a JSON value, as `readInput` does from a JSON body. */
export async function readJsonInput(value: Json, form: InputForm, intake: MediaIntake): Promise<CheckedInput> {
  const given = await readObject(value, form, intake);
  return { input: form.parse(given), given };
}

/** Fields of an input, with their media in the store; they are not validated. Throws `INVALID_INPUT` for unknown ones. */
export const readJsonFields = async (fields: JsonObject, form: InputForm, intake: MediaIntake): Promise<JsonObject> =>
  await readObject(fields, form, intake);

async function readFile(form: InputForm, intake: MediaIntake, upload: Upload): Promise<JsonObject> {
  const [place] = form.media;
  if (place === undefined || form.media.size > 1) {
    const count = form.media.size === 0 ? 'no media field' : `${form.media.size} media fields`;
    const message = `the pipeline’s input has ${count}, so a bare file cannot be its body; send multipart/form-data`;
    throw new MillraceError('UNSUPPORTED_CONTENT_TYPE', message, { fields: [{ field: 'Content-Type', message }] });
  }
  const path = place.replaceAll('*', '0'); // in a list, its only item
  const given = new InputParts(form);
  given.add(path, artifactJson(await intake.fromBody(path, upload, form.kindAt(path) ?? 'audio')));
  return given.whole();
}

async function readObject(body: Json | undefined, form: InputForm, intake: MediaIntake): Promise<JsonObject> {
  if (body === undefined) throw emptyBody();
  if (!isJsonObject(body)) throw invalidInput([{ field: 'body', message: 'must be a JSON object' }]);
  const unknown = Object.keys(body).filter((field) => !form.fields.has(field));
  if (unknown.length > 0) throw invalidInput(unknownFields(unknown, form.fields));
  const given: [string, Json][] = [];
  for (const [field, value] of Object.entries(body)) {
    const take: TakeMedia = async (media, { path, kind }) => artifactJson(await intake.fromJson(path, media, kind));
    given.push([field, await form.withMedia(field, value, take)]);
  }
  return Object.fromEntries(given);
}
