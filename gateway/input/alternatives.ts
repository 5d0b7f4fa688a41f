import type { z } from 'zod';
import { MOST_LEVELS, MOST_VALUES } from './input-size.js';

type Schema = z.core.$ZodType;

/** Fewest values that an input may have, however often its schema looks at each of them. */
const LEAST_VALUES = 1_000;
/** What any JSON has, by Zod's types: a union of all of them, as `z.json()` is, takes every value. */
const OF_JSON = ['string', 'number', 'boolean', 'null', 'array', 'record'] as const;
/** Most schemas of an input that are looked at: one that makes others whenever it is asked has no end. */
const MOST_SCHEMAS = 10_000;
/** The same for the options of one option, which are unions within each other. */
const MOST_OPTIONS = 1_000;

/**
 * Most values of an input by its schema. Zod hands the value of a union to one alternative after the other, and each of those that take an object, or
 * a list, looks into it: of unions within unions as often as the product of their alternatives. A discriminated union chooses one.
 */
export const mostValuesOf = (input: Schema): number =>
  Math.max(LEAST_VALUES, Math.floor(MOST_VALUES / new Looks().into(input)));

/** How often the values of schemas are looked at, at most. */
class Looks {
  readonly #known = new Map<Schema, number>();
  readonly #open = new Set<Schema>();

  into(schema: Schema): number {
    const known = this.#known.get(schema);
    if (known !== undefined) return known;
    // A schema that contains itself: Zod checks a value by it once.
    if (this.#open.has(schema) || this.#open.size > MOST_LEVELS || this.#known.size > MOST_SCHEMAS) return 1;
    this.#open.add(schema);
    const looks = this.#within(schema);
    this.#open.delete(schema);
    this.#known.set(schema, looks);
    return looks;
  }

  #within(schema: Schema): number {
    const { _zod: inner } = schema as z.core.$ZodTypes;
    const { def } = inner;
    switch (def.type) {
      case 'object':
        return this.#most([...Object.values(def.shape), ...(def.catchall ? [def.catchall] : [])]);
      case 'array':
        return this.into(def.element);
      case 'tuple':
        return this.#most([...def.items, ...(def.rest ? [def.rest] : [])]);
      case 'record':
        return this.into(def.valueType);
      case 'union':
        return choosesOne(def) ? this.#most(def.options) : this.#ofAlternatives(def.options);
      case 'intersection':
        return this.into(def.left) + this.into(def.right);
      case 'pipe':
        return this.#most([def.in, def.out]);
      default: {
        const wrapped = wrappedIn(schema);
        return wrapped === undefined ? 1 : this.into(wrapped);
      }
    }
  }

  #ofAlternatives(options: readonly Schema[]): number {
    const looks = { object: 0, list: 0 };
    for (const option of options) for (const kind of new Set(takenBy(option))) looks[kind] += this.into(option);
    // For a value that fits none Zod makes an issue for each alternative: for one of two it takes 2.7 times as long as a wrong value alone.
    const issues = options.some(takesAny) || takesAll(options) ? 1 : (options.length + 1) / 2;
    return Math.max(looks.object, looks.list, issues);
  }

  #most(schemas: readonly Schema[]): number {
    return Math.max(1, ...schemas.map((each) => this.into(each)));
  }
}

const choosesOne = (union: z.core.$ZodUnionDef | z.core.$ZodDiscriminatedUnionDef): boolean =>
  'discriminator' in union && !union.unionFallback;

const typeOf = ({ _zod: { def } }: Schema) => def.type;

const takesAll = (options: readonly Schema[]): boolean =>
  OF_JSON.every((type) => options.some((each) => typeOf(each) === type));

/** Whether a schema is `z.json()`, or takes anything. */
function takesAny(schema: Schema): boolean {
  if (['any', 'unknown'].includes(typeOf(schema))) return true;
  const { def } = ((typeOf(schema) === 'lazy' ? wrappedIn(schema) : undefined) ?? schema)
    ._zod as z.core.$ZodUnionInternals;
  return def.type === 'union' && takesAll(def.options);
}

/** What schemas look into: objects, lists, both or neither. Each schema is asked once, as options may be unions that share theirs. */
function takenBy(schema: Schema, seen = new Set<Schema>()): readonly ('object' | 'list')[] {
  if (seen.has(schema) || seen.size > MOST_OPTIONS) return [];
  seen.add(schema);
  const within = (...schemas: readonly Schema[]) => schemas.flatMap((each) => takenBy(each, seen));
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
    case 'record':
      return ['object'];
    case 'array':
    case 'tuple':
      return ['list'];
    case 'union':
      return within(...def.options);
    case 'intersection':
      return within(def.left, def.right);
    case 'pipe':
      return within(def.in, def.out);
    default: {
      const wrapped = wrappedIn(schema);
      return wrapped === undefined ? [] : within(wrapped);
    }
  }
}

/** The schema within one that may be left out or null, has a default, or is made when it is asked for; undefined for others. */
function wrappedIn(schema: Schema): Schema | undefined {
  const { _zod: inner } = schema as z.core.$ZodTypes;
  switch (inner.def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'catch':
    case 'readonly':
      return inner.def.innerType;
    case 'lazy':
      return (schema as z.core.$ZodLazy)._zod.innerType;
    default:
      return undefined;
  }
}
