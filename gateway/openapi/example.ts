import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';

/** A text for fields without further information. */
export const TEXT = 'What is the capital of France?';

/** A WebM file with one black picture of 16 by 16 pixels (VP8), made by ffmpeg 7. */
const VIDEO =
  'GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQJChYECGFOAZwEAAAAAAAG6EU2bdLpNu4tTq4QVSalmU6yBoU27i1OrhBZUrmtTrIHGTb' +
  'uMU6uEElTDZ1OsggEiTbuMU6uEHFO7a1OsggGk7AEAAAAAAABZAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' +
  'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAVSalmoCrXsYMPQkBNgIRMYXZmV0GETGF2ZkSJiECPQAAAAAAAFl' +
  'Sua9euAQAAAAAAAE7XgQFzxYgAAAAAAAAAAZyBACK1nIN1bmSIgQCGhVZfVlA4g4EBI+ODhDuaygDgkLCBELqBEJqBAlWwhFW5gQFV7oEA7AEA' +
  'AAAAAAACAAASVMNn0HNzzWPAi2PFiAAAAAAAAAABZ8iYRaOHRU5DT0RFUkSHi0xhdmMgbGlidnB4Z8ihRaOIRFVSQVRJT05Eh5MwMDowMDowMS' +
  '4wMDAwMDAwMDAAH0O2dajngQCjo4EAAIAQAgCdASoQABAAAEcIhYWImYSIAgIADA1gAP7/q1CAHFO7a5G7j7OBALeK94EB8YIBd/CBAw==';

/** Small files of each kind: 10 ms of silence, one pixel, one picture, and a text. */
const MEDIA: Readonly<Record<string, JsonObject>> = {
  '#/components/schemas/AudioInput': { base64: silence(), mime: 'audio/wav' },
  '#/components/schemas/ImageInput': {
    base64: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
    mime: 'image/png',
  },
  '#/components/schemas/VideoInput': { base64: VIDEO, mime: 'video/webm' },
  '#/components/schemas/FileInput': { base64: Buffer.from(TEXT).toString('base64'), mime: 'text/plain' },
};

/** Values of formats that callers can send. */
const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2026-01-31T12:00:00Z',
  date: '2026-01-31',
  time: '12:00:00Z',
  duration: 'PT30S',
  email: 'ada@example.com',
  uri: 'https://example.com',
  uuid: '7f9c24e5-1f4b-4a2b-9d3e-0c5a8b6d1e2f',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
};

/** Schemas within schemas that are followed. */
const MOST_LEVELS = 12;

/**
 * A small value that is valid by a schema whose media are in their wire form. Objects get their required fields only;
 * without any, the first field with an example, since such inputs usually require one; media only if there is nothing
 * else. Undefined where none can be told, as for a text with a pattern.
 */
export const exampleOf = (schema: Json): Json | undefined => exampleValue(schema, schema, 0);

function exampleValue(schema: Json, root: Json, level: number): Json | undefined {
  if (!isJsonObject(schema) || level > MOST_LEVELS) return undefined;
  const { $ref } = schema;
  if (typeof $ref === 'string') return MEDIA[$ref] ?? exampleValue(definitionOf($ref, root), root, level + 1);
  if ('default' in schema) return schema.default as Json;
  if ('const' in schema) return schema.const as Json;
  const inner = (each: Json) => exampleValue(each, root, level + 1);
  if (Array.isArray(schema.enum)) return schema.enum[0] as Json | undefined;
  const options = (schema.anyOf ?? schema.oneOf) as readonly Json[] | undefined;
  if (options !== undefined) return options.map(inner).find((value) => value !== undefined);
  // Two parts of a value cannot be joined in general.
  if ('allOf' in schema || 'not' in schema) return undefined;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'boolean') return false;
  if (type === 'null') return null;
  if (type === 'number' || type === 'integer') return numberOf(schema, type === 'integer');
  if (type === 'array') return listOf(schema, inner);
  if (type === 'object') return objectOf(schema, inner);
  return type === 'string' ? textOf(schema) : undefined;
}

function definitionOf(ref: string, root: Json): Json {
  const [, name = ''] = /^#\/\$defs\/(.+)$/.exec(ref) ?? [];
  const definitions = isJsonObject(root) && isJsonObject(root.$defs) ? root.$defs : {};
  return Object.hasOwn(definitions, name) ? (definitions[name] ?? null) : null;
}

function textOf({
  pattern,
  format,
  minLength = 0,
  maxLength = Number.POSITIVE_INFINITY,
}: JsonObject): string | undefined {
  if (typeof format === 'string') return FORMATS[format];
  if (pattern !== undefined || Number(minLength) > 1_000) return undefined;
  const text = TEXT.padEnd(Number(minLength), ' and more').slice(0, Math.max(Number(minLength), TEXT.length));
  return text.slice(0, Number(maxLength));
}

/** The least number from 1 on, else the greatest below it, that the bounds allow. */
function numberOf(schema: JsonObject, whole: boolean): number | undefined {
  const bound = (name: string, otherwise: number) => (typeof schema[name] === 'number' ? schema[name] : otherwise);
  const step = bound('multipleOf', whole ? 1 : 0);
  const least = Math.max(bound('minimum', -Infinity), bound('exclusiveMinimum', -Infinity));
  const most = Math.min(bound('maximum', Infinity), bound('exclusiveMaximum', Infinity));
  const middle = Number.isFinite(least) && Number.isFinite(most) ? [(least + most) / 2] : [];
  const candidates = [1, least, least + (step || 1), most, most - (step || 1), ...middle, 0];
  const fitting =
    step === 0 ? candidates : candidates.flatMap((n) => [Math.ceil(n / step) * step, Math.floor(n / step) * step]);
  return fitting.find(
    (n) =>
      Number.isFinite(n) &&
      n >= bound('minimum', -Infinity) &&
      n <= bound('maximum', Infinity) &&
      n > bound('exclusiveMinimum', -Infinity) &&
      n < bound('exclusiveMaximum', Infinity),
  );
}

type Inner = (schema: Json) => Json | undefined;

const isMedia = (schema: Json | undefined): boolean =>
  isJsonObject(schema) && typeof schema.$ref === 'string' && Object.hasOwn(MEDIA, schema.$ref);

function objectOf({ properties = {}, required = [] }: JsonObject, inner: Inner): JsonObject | undefined {
  const fields = Object.entries(properties as JsonObject);
  const wanted = fields.filter(([name]) => (required as readonly string[]).includes(name));
  const examples = (wanted.length > 0 ? wanted : fields).map(([name, schema]) => [name, inner(schema)] as const);
  const known = examples.filter((each): each is readonly [string, Json] => each[1] !== undefined);
  if (wanted.length > 0) return known.length === wanted.length ? Object.fromEntries(known) : undefined;
  const first = known.find(([name]) => !isMedia((properties as JsonObject)[name])) ?? known[0];
  return first === undefined ? {} : Object.fromEntries([first]);
}

function listOf({ items, prefixItems, minItems = 0, uniqueItems }: JsonObject, inner: Inner): Json | undefined {
  const first = ((prefixItems ?? []) as readonly Json[]).map(inner);
  const more = Math.max(0, Number(minItems) - first.length);
  if (more > 1 && uniqueItems === true) return undefined;
  const item = more > 0 ? inner(items ?? null) : null;
  const all = [...first, ...Array.from({ length: more }, () => item)];
  return all.includes(undefined) ? undefined : (all as Json[]);
}

/** A WAV file with 80 samples of 8 bits at 8 kHz. */
function silence(): string {
  const samples = 80;
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8_000, 24);
  header.writeUInt32LE(8_000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples, 40);
  return Buffer.concat([header, Buffer.alloc(samples, 128)]).toString('base64');
}
