import { openAsBlob } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { PipelineDocument } from '../client/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { isMediaKind } from '../pipelines/media.js';
import { lostInteger } from '../protocols/open-inference/exact-json.js';
import { withoutMark } from '../runtime/without-mark.js';
import { TOO_LONG } from './arguments.js';

export interface InputOptions {
  readonly input: JsonObject;
  readonly audio?: string;
  /** Files by field. */
  readonly file?: Readonly<Record<string, string>>;
}

type Described = Pick<PipelineDocument, 'name' | 'input'>;

/**
 * The input of a run, with files as the client uploads them. `--file` puts a file into a field: as media where the
 * field is media, of the type that its content has, as text where it is a text, else as JSON. `describe` is called only
 * if there are files. Throws `INVALID_INPUT` for an unknown field or an unreadable file, before anything is sent.
 */
export async function inputOf(
  { input, audio, file = {} }: InputOptions,
  describe: () => Promise<Described>,
): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = structuredClone(input) as Record<string, unknown>;
  const files = Object.entries(file);
  if (audio === undefined && files.length === 0) return all;
  const pipeline = await describe();
  if (audio !== undefined) all[audioField(pipeline)] = await fileOf(audio, '--audio');
  for (const [field, name] of files) put(all, field.split('.'), await fileValue(pipeline, field, name));
  return all;
}

async function fileValue(pipeline: Described, field: string, name: string): Promise<unknown> {
  const schema = schemaAt(pipeline.input, field.split('.'), pipeline.input);
  if (schema === undefined) {
    const known = Object.keys(properties(pipeline.input)).join(', ') || 'none';
    throw invalid(`--file ${field}: pipeline "${pipeline.name}" has no field "${field}"; its fields: ${known}`);
  }
  if (isMedia(schema)) return await fileOf(name, `--file ${field}`);
  const text = await readFile(await readable(name, `--file ${field}`), 'utf8');
  if ([schema.type].flat().includes('string')) return text;
  let value: Json;
  try {
    value = JSON.parse(withoutMark(text)) as Json;
  } catch (error) {
    throw invalid(
      `--file ${field}: the field is neither media nor a text, and ${name} is not JSON: ${messageOf(error)}`,
    );
  }
  const lost = lostInteger(value, withoutMark(text));
  if (lost) throw invalid(`--file ${field}: ${[field, ...lost].join('.')} ${TOO_LONG}`);
  return value;
}

/** Sets a nested value; list items are named by their numbers. */
function put(into: Record<string, unknown>, [field = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    Object.defineProperty(into, field, { value, enumerable: true, writable: true, configurable: true });
    return;
  }
  const inner = Object.hasOwn(into, field) ? into[field] : undefined;
  const next = typeof inner === 'object' && inner !== null ? inner : /^\d+$/.test(rest[0] ?? '') ? [] : {};
  put(into, [field], next);
  put(next as Record<string, unknown>, rest, value);
}

/** The schema of a field by its path; of an optional one that of its value. */
function schemaAt(schema: Json | undefined, path: readonly string[], root: JsonObject): JsonObject | undefined {
  if (!isJsonObject(schema ?? null)) return undefined;
  const node = schema as JsonObject;
  if (typeof node.$ref === 'string' && node.$ref.startsWith('#/$defs/'))
    return schemaAt((root.$defs as JsonObject | undefined)?.[node.$ref.slice('#/$defs/'.length)], path, root);
  const options = (node.anyOf ?? node.oneOf) as readonly Json[] | undefined;
  if (options !== undefined && !isMedia(node)) {
    const found = options.map((each) => schemaAt(each, path, root)).filter((each) => each !== undefined);
    return found.find(({ type }) => type !== 'null') ?? found[0];
  }
  const [first, ...rest] = path;
  if (first === undefined) return node;
  if (isMedia(node)) return undefined;
  if (node.type === 'array' && /^\d+$/.test(first)) return schemaAt(node.items, rest, root);
  const own = properties(node);
  const next = Object.hasOwn(own, first) ? own[first] : node.additionalProperties;
  return schemaAt(next, rest, root);
}

const isMedia = ({ media }: JsonObject): boolean => isMediaKind(media);

/** The only audio field of a pipeline's input. */
export function audioField(pipeline: Described): string {
  const fields = Object.entries(properties(pipeline.input)).filter(
    ([, schema]) => isJsonObject(schema) && schema.media === 'audio',
  );
  const [field] = fields[0] ?? [];
  if (field !== undefined && fields.length === 1) return field;
  throw invalid(
    `--audio: pipeline "${pipeline.name}" has ${fields.length} audio fields; name one: --file <field>=<path>`,
  );
}

export const properties = (schema: JsonObject): JsonObject =>
  isJsonObject(schema.properties ?? null) ? (schema.properties as JsonObject) : {};

/** A local file to upload; it is read while it is sent. */
export async function fileOf(name: string, option: string): Promise<File> {
  const file = await readable(name, option);
  return new File([await openAsBlob(file)], path.basename(file));
}

/** Throws `INVALID_INPUT` unless the file is readable. */
export async function readable(file: string, option: string): Promise<string> {
  await access(file).catch(() => {
    throw invalid(`${option}: cannot read ${file}`);
  });
  return file;
}

const invalid = (message: string) => new MillraceError('INVALID_INPUT', message);
