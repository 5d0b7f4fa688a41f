import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { isMediaKind, type MediaKind } from '../../pipelines/media.js';
import { wrong } from './manifest.js';
import { block, propertyName, quoted } from './source-text.js';

/** What a generated module has to import or declare for its schemas. */
export type Needed = MediaKind | 'artifact' | 'streamOf';

/** References are written out where they stand; this bounds what a small manifest can unfold to. */
const MOST_SCHEMAS = 10_000;

/** Keywords that say nothing about which values fit. */
const ANNOTATIONS = ['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$comment'];

/** Formats that Millrace checks as pydantic does. Texts of other formats are checked in Python only. */
const CHECKED_FORMATS: ReadonlySet<Json> = new Set(['date', 'uuid', 'ipv4', 'ipv6']);

/** Descriptions of media that say no more than their schemas. */
const OWN_DESCRIPTIONS: ReadonlySet<Json> = new Set([
  'Audio by reference',
  'An image by reference',
  'A video by reference',
  'A file by reference',
]);

/**
 * The source text of a zod schema that accepts what a JSON Schema of pydantic accepts. Throws `INVALID_INPUT` naming
 * `where` and the JSON path for anything that it does not understand.
 */
export class ZodSource {
  readonly needed = new Set<Needed>();
  readonly #where: string;
  readonly #definitions: JsonObject;
  readonly #within: string[] = [];
  #count = 0;

  constructor(where: string, root: JsonObject) {
    this.#where = where;
    this.#definitions = isJsonObject(root.$defs) ? root.$defs : {};
  }

  /** @param indent the white space before the line on which the text begins */
  of(given: Json, indent: string, at = '#'): string {
    this.#count += 1;
    if (this.#count > MOST_SCHEMAS) throw this.#refused(at, `unfolds to more than ${MOST_SCHEMAS} schemas`);
    if (!isJsonObject(given)) throw this.#refused(at, 'must be a JSON Schema that is an object');
    const schema = at === '#' ? without(given, '$defs') : given;
    const { description } = schema;
    const text = this.#bare(schema, indent, at);
    if (typeof description !== 'string' || OWN_DESCRIPTIONS.has(description)) return text;
    return `${text}.describe(${quoted(description)})`;
  }

  #bare(schema: JsonObject, indent: string, at: string): string {
    if (schema.$ref !== undefined) return this.#reference(schema, indent, at);
    if (schema.media !== undefined) return this.#media(schema, at);
    if (schema.const !== undefined) return `z.literal(${this.#literal(schema.const, `${at}/const`)})`;
    if (schema.enum !== undefined) return this.#enum(schema, at);
    for (const key of ['anyOf', 'oneOf'] as const) {
      if (schema[key] !== undefined) return this.#union(schema, key, indent, at);
    }
    if (schema.allOf !== undefined) return this.#allOf(schema, indent, at);
    switch (schema.type) {
      case undefined:
        this.#only(schema, [], at);
        return 'z.unknown()';
      case 'string':
        return this.#string(schema, at);
      case 'integer':
        return this.#number('z.int()', schema, at);
      case 'number':
        return this.#number('z.number()', schema, at);
      case 'boolean':
      case 'null':
        this.#only(schema, ['type'], at);
        return `z.${schema.type}()`;
      case 'array':
        return schema.stream === true ? this.#stream(schema, indent, at) : this.#array(schema, indent, at);
      case 'object':
        return this.#object(schema, indent, at);
      default:
        throw this.#refused(`${at}/type`, `${JSON.stringify(schema.type)} is not a type that is supported`);
    }
  }

  #reference(schema: JsonObject, indent: string, at: string): string {
    this.#only(schema, ['$ref'], at);
    const name = /^#\/\$defs\/([^/]+)$/.exec(String(schema.$ref))?.[1];
    const target = name === undefined ? undefined : this.#definitions[name.replaceAll('~1', '/').replaceAll('~0', '~')];
    if (name === undefined || target === undefined)
      throw this.#refused(`${at}/$ref`, `refers to ${JSON.stringify(schema.$ref)}, which is not in $defs`);
    if (this.#within.includes(name))
      throw this.#refused(at, `the model ${name} contains itself, which is not supported; pass such data as text`);
    this.#within.push(name);
    // The description of the reference comes instead of that of its target.
    const whole = schema.description === undefined || !isJsonObject(target);
    const described = whole ? target : without(target, 'description');
    const text = this.of(described, indent, `#/$defs/${name}`);
    this.#within.pop();
    return text;
  }

  #media(schema: JsonObject, at: string): string {
    const { media, types } = schema;
    this.#only(schema, ['media', ...(media === 'file' ? ['types'] : [])], at);
    if (media !== 'artifact' && !isMediaKind(media))
      throw this.#refused(`${at}/media`, `${JSON.stringify(media)} is not a kind of media that is supported`);
    this.needed.add(media);
    if (media === 'artifact') return media;
    return types === undefined ? `${media}()` : `file({ types: ${this.#texts(types, `${at}/types`)} })`;
  }

  #texts(values: Json, at: string): string {
    if (!Array.isArray(values) || !values.every((value) => typeof value === 'string'))
      throw this.#refused(at, 'must be a list of texts');
    return `[${values.map(quoted).join(', ')}]`;
  }

  #literal(value: Json, at: string): string {
    if (typeof value === 'string') return quoted(value);
    if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw this.#refused(at, 'only texts, numbers, booleans and null are supported');
  }

  #enum(schema: JsonObject, at: string): string {
    this.#only(schema, ['enum', 'type'], at);
    const values = schema.enum;
    if (!Array.isArray(values) || values.length === 0) throw this.#refused(`${at}/enum`, 'must be a list of values');
    const texts = values.map((value: Json, i) => this.#literal(value, `${at}/enum/${i}`)).join(', ');
    return values.every((value) => typeof value === 'string') ? `z.enum([${texts}])` : `z.literal([${texts}])`;
  }

  #union(schema: JsonObject, key: 'anyOf' | 'oneOf', indent: string, at: string): string {
    // Which member a value is follows from its shape: the discriminator says nothing more.
    this.#only(schema, [key, 'discriminator'], at);
    const members = schema[key];
    if (!Array.isArray(members) || members.length === 0)
      throw this.#refused(`${at}/${key}`, 'must be a list of schemas');
    const isNull = (member: Json) => isJsonObject(member) && member.type === 'null';
    const placed = members.map((member: Json, i) => ({ member, at: `${at}/${key}/${i}` }));
    const others = placed.filter(({ member }) => !isNull(member));
    if (others.length === 0) return 'z.null()';
    const [only] = others.length === 1 ? others : [];
    const text = only
      ? this.of(only.member, indent, only.at)
      : block(
          'z.union([',
          others.map(({ member, at: where }) => this.of(member, `${indent}  `, where)),
          '])',
          indent,
        );
    return others.length < members.length ? `${text}.nullable()` : text;
  }

  #allOf(schema: JsonObject, indent: string, at: string): string {
    this.#only(schema, ['allOf'], at);
    const [member, ...more] = Array.isArray(schema.allOf) ? (schema.allOf as readonly Json[]) : [];
    if (member === undefined || more.length > 0) throw this.#refused(`${at}/allOf`, 'only one schema is supported');
    return this.of(member, indent, `${at}/allOf/0`);
  }

  #string(schema: JsonObject, at: string): string {
    this.#only(schema, ['type', 'minLength', 'maxLength', 'pattern', 'format'], at);
    const { minLength, maxLength, pattern, format = null } = schema;
    const parts = ['z.string()', this.#call('min', minLength, `${at}/minLength`)];
    parts.push(this.#call('max', maxLength, `${at}/maxLength`));
    if (pattern !== undefined) parts.push(`.regex(${this.#pattern(pattern, `${at}/pattern`)})`);
    if (CHECKED_FORMATS.has(format)) parts.push(`.meta({ format: ${quoted(String(format))} })`);
    return parts.join('');
  }

  #pattern(pattern: Json, at: string): string {
    try {
      return new RegExp(String(pattern), 'u').toString();
    } catch {
      throw this.#refused(at, `${JSON.stringify(pattern)} is not a regular expression of JavaScript`);
    }
  }

  #number(start: string, schema: JsonObject, at: string): string {
    const calls = {
      minimum: 'min',
      maximum: 'max',
      exclusiveMinimum: 'gt',
      exclusiveMaximum: 'lt',
      multipleOf: 'multipleOf',
    };
    this.#only(schema, ['type', ...Object.keys(calls)], at);
    const parts = Object.entries(calls).map(([key, call]) => this.#call(call, schema[key], `${at}/${key}`));
    return [start, ...parts].join('');
  }

  /** A field of the input that is read as a stream. */
  #stream(schema: JsonObject, indent: string, at: string): string {
    this.#only(schema, ['type', 'items', 'stream'], at);
    if (!/^#\/properties\/[^/]+$/.test(at))
      throw this.#refused(at, 'is a stream, which only a field of the input itself can be');
    this.needed.add('streamOf');
    return `streamOf(${this.of(schema.items ?? {}, indent, `${at}/items`)})`;
  }

  #array(schema: JsonObject, indent: string, at: string): string {
    this.#only(schema, ['type', 'items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'], at);
    const { items, prefixItems, minItems, maxItems, uniqueItems } = schema;
    if (Array.isArray(prefixItems)) {
      const { length } = prefixItems;
      if (items !== undefined || minItems !== length || maxItems !== length)
        throw this.#refused(`${at}/prefixItems`, 'only tuples of a fixed length are supported');
      const members = prefixItems.map((item: Json, i) => this.of(item, `${indent}  `, `${at}/prefixItems/${i}`));
      return block('z.tuple([', members, '])', indent);
    }
    const parts = [`z.array(${this.of(items ?? {}, indent, `${at}/items`)})`];
    parts.push(this.#call('min', minItems, `${at}/minItems`), this.#call('max', maxItems, `${at}/maxItems`));
    if (uniqueItems === true) parts.push('.meta({ uniqueItems: true })');
    return parts.join('');
  }

  #object(schema: JsonObject, indent: string, at: string): string {
    this.#only(schema, ['type', 'properties', 'required', 'additionalProperties'], at);
    const { properties = {}, required = [], additionalProperties: more } = schema;
    if (!isJsonObject(properties)) throw this.#refused(`${at}/properties`, 'must be an object');
    const names = Object.entries(properties);
    if (schema.properties === undefined && more !== undefined && more !== false) {
      return `z.record(z.string(), ${this.of(more === true ? {} : more, indent, `${at}/additionalProperties`)})`;
    }
    const fields = names.map(([name, field]) => {
      const text = this.of(field, `${indent}  `, `${at}/properties/${name}`);
      const optional = Array.isArray(required) && required.includes(name) ? '' : '.optional()';
      return `${propertyName(name)}: ${text}${optional}`;
    });
    const kind = more === false ? 'strictObject' : more === true ? 'looseObject' : 'object';
    const text = block(`z.${kind}({`, fields, '})', indent);
    if (typeof more !== 'object') return text;
    return `${text}.catchall(${this.of(more, indent, `${at}/additionalProperties`)})`;
  }

  #call(name: string, value: Json | undefined, at: string): string {
    if (value === undefined) return '';
    if (typeof value !== 'number') throw this.#refused(at, 'must be a number');
    return `.${name}(${value})`;
  }

  /** Rejects keywords that would otherwise be ignored silently. */
  #only(schema: JsonObject, known: readonly string[], at: string): void {
    const unknown = Object.keys(schema).find((key) => !known.includes(key) && !ANNOTATIONS.includes(key));
    if (unknown === undefined) return;
    throw this.#refused(`${at}/${unknown}`, 'is not supported here; use a simpler type in the Python model');
  }

  #refused(at: string, message: string): Error {
    return wrong(`${this.#where} ${at}`, message);
  }
}

function without(schema: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = schema;
  return rest as JsonObject;
}
