import { inspectorOf } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidField, invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import { type Generated, MOST_GENERATED } from '../../pipelines/stages/index.js';
import type { Call, CallContext } from './connector.js';
import { fitted } from './json-schema.js';

/** What a call of the kind `generate` asks for: the stage's options with those of its input, by the pool's schema. */
export interface Generation {
  readonly makes: Generated;
  readonly prompt: string;
  readonly count: number;
  /** Completed with the schema's defaults. */
  readonly options: JsonObject;
}

/**
 * Reads a call of the kind `generate`. Throws `INVALID_INPUT` naming the first options that the pool's schema does not have,
 * and several files of a kind of which a call makes one.
 * @param accepts JSON Schema of the options; absent: the model takes none
 */
export function generationOf({ with: own, input }: Call, accepts: JsonObject = NONE): Generation {
  const { makes, count: most = 1 } = own as { makes: Generated; count?: number };
  const { prompt, count = most } = input as { prompt: string; count?: number };
  if (count > 1 && makes !== 'image') throw invalidField('count', `a call makes one ${makes}`);
  const fit = fitted({ ...objectOf(own.options), ...objectOf(input.options) }, accepts);
  if ('data' in fit) return { makes, prompt, count, options: objectOf(fit.data) };
  const fields = fit.fields.map(({ field, message }) => ({
    field: field === '' ? 'options' : `options.${field}`,
    message: `${message} (the pool’s "accepts" says which options the model has)`,
  }));
  throw invalidFields('INVALID_INPUT', fields);
}

const NONE: JsonObject = { type: 'object', additionalProperties: false };

const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});

/**
 * Stores what a model has made, as the output of its kind. The bytes say what it is, never the server. Throws `INVALID_OUTPUT`
 * for nothing, for more than was asked for and for bytes of another kind, and as the store does for what is too large.
 */
export async function storedFiles(
  files: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { makes, count }: Pick<Generation, 'makes' | 'count'>,
  { artifacts }: Pick<CallContext, 'artifacts'>,
): Promise<JsonObject> {
  if (!artifacts) throw new MillraceError('INTERNAL', 'this host cannot write files');
  const all: Artifact[] = [];
  for await (const bytes of files) {
    if (all.length === Math.min(count, MOST_GENERATED))
      throw new MillraceError('INVALID_OUTPUT', `the server has made more than ${count} files`);
    all.push(await artifacts.write(bytes, { type: typeOf(bytes, makes) }));
  }
  const [first] = all.map((each) => ({ ...each }) as JsonObject);
  if (first === undefined) throw new MillraceError('INVALID_OUTPUT', `the server has made no ${makes}`);
  return makes === 'image' ? { image: first, images: all.map((each) => ({ ...each })) } : { [makes]: first };
}

/** The media type by the bytes, of the kind that was asked for. */
function typeOf(bytes: Uint8Array, makes: Generated): string {
  const inspector = inspectorOf(makes);
  try {
    inspector.push(bytes);
    return inspector.end().mime;
  } catch (error) {
    throw new MillraceError('INVALID_OUTPUT', `the server’s file is no ${makes}: ${messageOf(error)}`);
  }
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const DATA_URL = /^data:[\w.+-]+\/[\w.+-]+(?:;[\w.+=-]+)*;base64,/;

/** The bytes of base64, with or without the beginning of a data URL. Throws `INVALID_OUTPUT`. */
export function bytesOfBase64(text: string): Uint8Array {
  const data = text.slice(DATA_URL.exec(text.slice(0, 200))?.[0].length ?? 0);
  if (data === '' || !BASE64.test(data)) throw new MillraceError('INVALID_OUTPUT', 'the server’s file is not base64');
  return Buffer.from(data, 'base64');
}
