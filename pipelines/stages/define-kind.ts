import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { type PolicyOptions, resolvePolicy } from '../definition/policy.js';
import type { JsonObject } from '../json.js';
import { notJson } from '../json-limits.js';
import type { DefinedKind, StageUse } from './kind.js';
import type { Effects } from './traits.js';

/** Lower-case letters, digits and dashes on both sides of one slash. */
export const KIND_NAME = /^[a-z][a-z0-9-]{0,62}\/[a-z][a-z0-9-]{0,62}$/;
const NAME_RULE =
  'a namespace and a name, such as "acme/segment": lower-case letters, digits and dashes, a letter first, 63 at most each';

const EFFECTS: readonly Effects[] = ['none', 'possible', 'intended'];

/** Argument of `defineKind`. */
export interface KindDefinition<I, O, Options extends z.ZodObject | undefined = undefined> {
  /**
   * A namespace and a name: `acme/segment`. Plans and runs in progress contain the name: if the schemas change
   * incompatibly, use a new one.
   */
  readonly name: string;
  /** Schema of a call's input, an object; media as `audio()` and `image()`. */
  readonly input: z.ZodType<I>;
  /** Schema of a call's output, an object. An answer that does not fit is `INVALID_OUTPUT`. */
  readonly output: z.ZodType<O>;
  /**
   * Side effects of its calls: `none`; `possible`, if only the server knows; `intended`, if the effect is the purpose
   * of the call. Runs with effects do not start before Temporal has confirmed them, and a resumed run does not repeat
   * completed calls with other input.
   */
  readonly effects: Effects;
  /** Schema of the options other than `model`, with their defaults. They become `with` of the call. Default: none. */
  readonly options?: Options;
  /** Defaults of its stages that differ from the general ones. */
  readonly policy?: PolicyOptions;
  /** An input with which `millrace profile` measures a model; different serials give different inputs. */
  readonly example?: (serial: number) => I;
}

/** Makes stages of a kind; `definition` is the kind as workers know it. */
export interface KindBuilder<I, O, Options extends z.ZodObject | undefined = undefined> {
  (options: OptionsOf<Options>): StageUse<I, O>;
  readonly definition: DefinedKind;
}

/** `model`: name of the pool that serves the stage. */
type OptionsOf<Options> = { readonly model: string } & (Options extends z.ZodObject ? z.input<Options> : unknown);

/**
 * A stage kind of your own, served by pools whose connector lists its name in `kinds`. Throws `INVALID_PIPELINE` if the
 * definition, or an option of a stage, is not valid.
 *
 * ```ts
 * export const segment = defineKind({
 *   name: 'acme/segment',
 *   input: z.object({ image: image() }),
 *   output: z.object({ regions: z.array(z.object({ label: z.string(), score: z.number() })) }),
 *   effects: 'none',
 *   options: z.object({ threshold: z.number().min(0).max(1).default(0.5) }),
 * });
 * const seen = stage('seen', segment({ model: 'sam', threshold: 0.7 }), { image: input.image });
 * ```
 */
export function defineKind<I, O, Options extends z.ZodObject | undefined = undefined>(
  definition: KindDefinition<I, O, Options>,
): KindBuilder<I, O, Options> {
  const { name, input, output, effects, policy, options, example } = checked(definition);
  const kind: DefinedKind = {
    name,
    input,
    output,
    servedBy: 'pool',
    effects,
    ...(policy && { policy }),
    ...(example && { example: example as unknown as (serial: number) => JsonObject }),
  };
  const build = ({ model, ...given }: OptionsOf<Options>): StageUse<I, O> => ({
    kind: name,
    effects,
    model,
    with: optionsOf(name, options ?? z.object({}), given),
    input,
    output,
    definitions: [kind],
  });
  return Object.assign(build, { definition: kind });
}

/** Whether a value is what `defineKind` returns. */
export const isKindBuilder = (value: unknown): value is { readonly definition: DefinedKind } =>
  typeof value === 'function' &&
  'definition' in value &&
  KIND_NAME.test(String((value.definition as DefinedKind | undefined)?.name));

/** Throws `INVALID_PIPELINE` if two kinds have the same name. */
export function kindsByName(kinds: Iterable<DefinedKind>, where = 'kinds'): ReadonlyMap<string, DefinedKind> {
  const known = new Map<string, DefinedKind>();
  for (const kind of kinds) {
    if ((known.get(kind.name) ?? kind) !== kind) throw invalid(where, `two stage kinds are named "${kind.name}"`);
    known.set(kind.name, kind);
  }
  return known;
}

const KEYS = ['name', 'input', 'output', 'effects', 'options', 'policy', 'example'];

function checked<I, O, Options extends z.ZodObject | undefined>(definition: KindDefinition<I, O, Options>) {
  const { name, input, output, effects, options, policy } = definition;
  if (!KIND_NAME.test(String(name))) throw invalid(String(name), `is not the name of a stage kind: ${NAME_RULE}`);
  const unknown = Object.keys(definition).find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw invalid(`${name}.${unknown}`, `is not an option; the options are ${KEYS.join(', ')}`);
  if (!(input instanceof z.ZodType)) throw invalid(`${name}.input`, 'must be a zod schema of an object');
  if (!(output instanceof z.ZodType)) throw invalid(`${name}.output`, 'must be a zod schema of an object');
  if (!EFFECTS.includes(effects)) throw invalid(`${name}.effects`, `must be one of ${EFFECTS.join(', ')}`);
  if (options !== undefined && !(options instanceof z.ZodObject)) {
    throw invalid(`${name}.options`, 'must be a z.object({ … }) of the options');
  }
  if (options && 'model' in options.shape) {
    throw invalid(`${name}.options.model`, 'names the pool in every kind; give the option another name');
  }
  resolvePolicy({}, policy ?? {}, `${name}.policy`);
  return definition;
}

function optionsOf(name: string, schema: z.ZodObject, given: unknown): JsonObject {
  const { error, data } = schema.strict().safeParse(given);
  const [issue] = error?.issues ?? [];
  if (issue?.code === 'unrecognized_keys') {
    const known = ['model', ...Object.keys(schema.shape)].join(', ');
    throw invalid(`${name}.${issue.keys[0]}`, `is not an option; the options are ${known}`);
  }
  if (issue) throw invalid([name, ...issue.path].join('.'), issue.message);
  const wrong = notJson(data);
  if (wrong) throw invalid([name, wrong.field].filter(Boolean).join('.'), wrong.message);
  return JSON.parse(JSON.stringify(data)) as JsonObject;
}
