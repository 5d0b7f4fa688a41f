import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { type Dtype, isMediaKind, type MediaKind } from '../../pipelines/media.js';

/** Content of a field of a pipeline's input or output, or of its items if it is a list. */
export type Holds = 'text' | 'number' | 'integer' | 'boolean' | 'json' | 'tensor' | MediaKind;

/** A field of a pipeline's input or output as a tensor. */
export interface TensorField {
  readonly name: string;
  readonly holds: Holds;
  readonly datatype: Dtype;
  /** `[1]` for a single value, `[-1]` for a list; a tensor field has its own, with -1 for a variable dimension. */
  readonly shape: readonly number[];
  /** Whether the field may be absent. */
  readonly optional: boolean;
  readonly list: boolean;
  /** The sample rate in Hz that the pipeline declares for an audio field, if any. */
  readonly rate?: number;
}

const DATATYPES: Readonly<Record<Exclude<Holds, 'tensor'>, Dtype>> = {
  text: 'BYTES',
  number: 'FP64',
  integer: 'INT64',
  boolean: 'BOOL',
  json: 'BYTES',
  audio: 'BYTES',
  image: 'BYTES',
  video: 'BYTES',
  file: 'BYTES',
};

/**
 * The fields of an object's JSON Schema (`Pipeline.inputSchema`, `outputSchema`) as tensors, in the order of the
 * schema.
 */
export function tensorFields(schema: Json): TensorField[] {
  const { properties, required } = isJsonObject(schema) ? schema : {};
  const needed = Array.isArray(required) ? required : [];
  return Object.entries(isJsonObject(properties) ? properties : {}).map(([name, given]) => {
    const { schema: own, nullable } = withoutNull(given);
    return { name, ...formOf(own), optional: nullable || !needed.includes(name) };
  });
}

type Form = Pick<TensorField, 'holds' | 'datatype' | 'shape' | 'list' | 'rate'>;

function formOf(schema: JsonObject): Form {
  const { tensor } = schema;
  if (isJsonObject(tensor))
    return { holds: 'tensor', datatype: tensor.dtype as Dtype, shape: tensor.shape as readonly number[], list: false };
  const items = itemsOf(schema);
  const holds = holdsOf(items ?? schema);
  const { rate } = items ?? schema;
  return {
    holds,
    datatype: DATATYPES[holds],
    shape: items ? [-1] : [1],
    list: items !== undefined,
    ...(typeof rate === 'number' && { rate }),
  };
}

/**
 * The schema of a list's items; undefined if it is not a list. A tuple counts as a list if all its items have the same
 * form.
 */
function itemsOf({ type, items, prefixItems }: JsonObject): JsonObject | undefined {
  if (type !== 'array') return undefined;
  const all = Array.isArray(prefixItems) ? prefixItems : [items ?? {}];
  const forms = new Set(all.map((item) => holdsItem(item as Json)));
  return forms.size === 1 && !forms.has('json') ? (all[0] as JsonObject) : {};
}

/** A nullable number is JSON: a tensor of numbers cannot contain null. */
function holdsItem(given: Json): Exclude<Holds, 'tensor'> {
  const { schema, nullable } = withoutNull(given);
  return nullable ? 'json' : holdsOf(schema);
}

function holdsOf(schema: JsonObject): Exclude<Holds, 'tensor'> {
  const { media, type } = schema;
  if (isMediaKind(media)) return media;
  if (Array.isArray(schema.anyOf)) {
    const members = new Set(schema.anyOf.map((member) => holdsItem(member as Json)));
    return members.size === 1 ? ([...members][0] ?? 'json') : 'json';
  }
  if (type === 'string') return 'text';
  if (type === 'number' || type === 'integer' || type === 'boolean') return type;
  return 'json';
}

/** The schema without null, and whether it allowed null. */
function withoutNull(given: Json): { schema: JsonObject; nullable: boolean } {
  const schema = isJsonObject(given) ? given : {};
  const { type, anyOf } = schema;
  if (Array.isArray(type) && type.includes('null')) {
    const rest = type.filter((each) => each !== 'null');
    return { schema: { ...schema, type: rest.length === 1 ? (rest[0] as Json) : rest }, nullable: true };
  }
  if (!Array.isArray(anyOf)) return { schema, nullable: false };
  const rest = anyOf.filter((member) => !(isJsonObject(member) && member.type === 'null'));
  const nullable = rest.length < anyOf.length;
  const [only] = rest;
  return { schema: rest.length === 1 && isJsonObject(only) ? only : { ...schema, anyOf: rest }, nullable };
}
