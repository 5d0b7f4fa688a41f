import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { messageOf } from '../errors.js';
import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { readSchema } from '../json-schema/index.js';
import type { MediaKind, Tensor } from '../media.js';
import { ARTIFACT_URI } from '../tenant.js';

/** Options common to the kinds that other workers of Temporal serve. */
export interface ForeignOptions<I, O> {
  /** Task queue of the workers that serve it, in the namespace of the run. */
  readonly queue: string;
  /** Name under which these workers register it. */
  readonly type: string;
  /** What it takes: an object schema without transforms, refinements and dates, which JSON Schema cannot express. */
  readonly input: z.ZodType<I>;
  /** What it returns: any schema that JSON Schema can express. Each result is checked. */
  readonly output: z.ZodType<O>;
  /**
   * Fields of the input that are its arguments, in this order. A field that is absent is null; absent ones at the end
   * are left out. Default: the whole input is the only argument.
   */
  readonly args?: readonly (keyof I & string)[];
  /** Change it when its behaviour changes, so that the pipeline gets a new version as well. */
  readonly version?: string;
}

/** The part of a plan's `with` that these kinds share. */
export interface ForeignWith {
  readonly queue: string;
  readonly input: JsonObject;
  readonly output: JsonObject;
  readonly args?: readonly string[];
  readonly version?: string;
}

/** Longest names, in characters: Temporal rejects longer ones when the stage is called. */
const LONGEST_NAME = 200;

/** Checks the options and returns their plan form. Throws `INVALID_PIPELINE` naming the type and the option. */
export function foreignWith<I, O>(
  kind: string,
  options: ForeignOptions<I, O>,
  more: readonly string[] = [],
): ForeignWith {
  const { queue, type, input, output, args, version } = options ?? {};
  const known = ['queue', 'type', 'input', 'output', 'args', 'version', ...more];
  const unknown = Object.keys(options ?? {}).find((key) => !known.includes(key));
  const where = typeof type === 'string' && type !== '' ? type : kind;
  if (unknown !== undefined)
    throw invalid(`${where}.${unknown}`, `is not an option; the options are ${known.join(', ')}`);
  for (const [name, value] of Object.entries({ type, queue })) {
    const fits = typeof value === 'string' && value.trim() !== '' && value.length <= LONGEST_NAME;
    if (!fits) throw invalid(`${where}.${name}`, `must be a name of 1 to ${LONGEST_NAME} characters`);
  }
  if (version !== undefined && (typeof version !== 'string' || version === ''))
    throw invalid(`${where}.version`, 'must be a text');
  const takes = schemaOf(input, `${where}.input`);
  if (takes.type !== 'object') {
    throw invalid(`${where}.input`, 'must be a z.object({ … }); give `args` for arguments that are not one object');
  }
  return {
    queue,
    input: takes,
    output: schemaOf(output, `${where}.output`),
    ...(args && { args: argsOf(args, takes, where) }),
    ...(version !== undefined && { version }),
  };
}

function argsOf(args: readonly string[], { properties }: JsonObject, where: string): readonly string[] {
  const fields = isJsonObject(properties) ? Object.keys(properties) : [];
  if (!Array.isArray(args)) throw invalid(`${where}.args`, 'must be a list of fields of the input');
  const unknown = args.find((name) => !fields.includes(name));
  if (unknown !== undefined)
    throw invalid(`${where}.args`, `"${unknown}" is not a field of the input: ${fields.join(', ') || 'it has none'}`);
  const left = fields.find((name) => !args.includes(name));
  if (left !== undefined) throw invalid(`${where}.args`, `leaves out the field "${left}", which would never be passed`);
  return [...args];
}

/**
 * JSON Schema (2020-12) that says the same as the schema. Throws `INVALID_PIPELINE` naming the field if there is none:
 * the other worker, in any language, gets and returns JSON, and only this schema is checked.
 */
function schemaOf(schema: z.ZodType, where: string): JsonObject {
  if (!(schema instanceof z.ZodType)) throw invalid(where, 'must be a zod schema');
  // What goes in and what comes out of a value's schema must be the same.
  convert(schema, 'output', where);
  const { $schema: _, ...found } = convert(schema, 'input', where);
  try {
    readSchema(found as Json);
  } catch (error) {
    throw invalid(where, `has a JSON Schema that cannot be checked: ${messageOf(error)}`);
  }
  return found as JsonObject;
}

function convert(schema: z.ZodType, io: 'input' | 'output', where: string): Record<string, unknown> {
  const at = (path: readonly (string | number)[]) =>
    [where, ...path.filter((key) => !KEYWORDS.has(String(key)))].join('.');
  // A schema with `meta` is followed by the one that it was made of.
  const made = new Set<unknown>();
  return z.toJSONSchema(schema, {
    io,
    unrepresentable: ({ zodSchema, path, message }) => {
      const referenced = byReference(zodSchema as unknown as z.ZodType);
      if (referenced) made.add(zodSchema._zod.parent);
      if (referenced || made.has(zodSchema)) return referenced ?? 'any';
      throw invalid(at(path), `cannot be expressed in JSON Schema: ${message}`);
    },
    override: ({ zodSchema, path }) => {
      const { checks = [], type } = zodSchema._zod.def;
      if (type === 'custom') return;
      const found = checks.map(({ _zod }) => REFUSED[_zod.def.check]).find((why) => why !== undefined);
      if (found !== undefined) throw invalid(at(path), `${found}, which JSON Schema cannot express`);
    },
  });
}

/** Parts of a path in a JSON Schema that are no fields. */
const KEYWORDS: ReadonlySet<string> = new Set(['properties', 'items', 'anyOf', 'additionalProperties', '$defs']);

const REFUSED: Readonly<Record<string, string | undefined>> = {
  custom: 'has a refinement',
  overwrite: 'changes its value (trim, toLowerCase …)',
};

/** JSON Schema of media and tensors, whose zod schemas are functions. */
function byReference(schema: z.ZodType): JsonObject | undefined {
  const { media, tensor, rate, channels } = (schema.meta() ?? {}) as MediaMeta;
  if (media !== undefined) {
    return {
      type: 'object',
      properties: {
        uri: { type: 'string', pattern: ARTIFACT_URI.source },
        sha256: { type: 'string' },
        mime: { type: 'string', pattern: MIME_TYPES[media] },
        bytes: { type: 'integer', minimum: 0 },
        durationMs: { type: 'number' },
        // Nothing converts media on the way to another worker.
        sampleRate: rate === undefined ? { type: 'number' } : { const: rate },
        channels: channels === undefined ? { type: 'number' } : { const: channels },
      },
      required: ['uri', 'sha256', 'mime', 'bytes'],
    };
  }
  if (tensor === undefined) return undefined;
  return {
    type: 'object',
    properties: {
      dtype: { const: tensor.dtype },
      shape: { type: 'array', items: { type: 'integer', minimum: 0 } },
      data: { type: 'array', items: { type: ['number', 'string', 'boolean'] } },
    },
    required: ['dtype', 'shape', 'data'],
  };
}

/** Of containers either name may be stored. */
const MIME_TYPES: Readonly<Record<MediaKind, string>> = {
  audio: '^(audio/|video/(mp4|webm)$)',
  image: '^image/',
  video: '^(video/|audio/(mp4|webm)$)',
  file: '/',
};

interface MediaMeta {
  readonly media?: MediaKind;
  readonly rate?: number;
  readonly channels?: number;
  readonly tensor?: Pick<Tensor, 'dtype'>;
}
