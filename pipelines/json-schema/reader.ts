import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { APPLICATORS } from './applicators.js';
import type { Bounds } from './bounds.js';
import type { Keyword, KeywordReader } from './keyword.js';
import { type LinearPattern, linearPattern, PatternError } from './linear-pattern.js';
import type { Node } from './node.js';
import { SCALARS } from './scalars.js';

/** A schema cannot be used: the location in it, as a JSON pointer, and why. */
export class SchemaError extends Error {
  constructor(
    readonly at: string,
    readonly why: string,
  ) {
    super(`${at} ${why}`);
  }
}

/** Maximum nesting of any schema: this reader, and those of model servers, are recursive. */
const MOST_LEVELS = 200;

const COUNTED = {
  schemas: 'schemas',
  references: 'references',
  values: 'values of const and enum',
  patterns: 'parts of patterns with repetitions expanded',
};

type Count = Record<keyof typeof COUNTED, number>;
export const noneCounted = (): Count => ({ schemas: 0, references: 0, values: 0, patterns: 0 });

/** Keywords that have a meaning and would otherwise be ignored silently. */
const UNSUPPORTED = ['$dynamicRef', '$recursiveRef'];

/** Reads one schema, with everything that its references point to. Without bounds any valid schema is accepted. */
export class Reader implements KeywordReader {
  readonly #root: Json;
  readonly #bounds: Bounds | undefined;
  readonly #nodes = new Map<JsonObject, Node>();
  /** The nodes being read, outermost first. */
  readonly #reading: Node[] = [];
  readonly #references: { readonly at: string; readonly to: string; readonly found: (node: Node) => void }[] = [];
  readonly #count: Count;
  /** The schema has defaults, which are filled into values. */
  filling = false;
  /** A keyword depends on what others have evaluated. */
  seeing = false;

  /** @param count shared by schemas that have the bounds in common */
  constructor(root: Json, bounds?: Bounds, count: Count = noneCounted()) {
    this.#root = root;
    this.#bounds = bounds;
    this.#count = count;
  }

  read(): Node {
    const node = this.schema(this.#root, '#');
    // Unreferenced definitions are read as well, because a model server reads them too.
    if (isJsonObject(this.#root)) {
      for (const key of ['$defs', 'definitions']) {
        if (this.#root[key] !== undefined) this.schemas(this.#root[key], `#/${key}`);
      }
    }
    for (let next = this.#references.shift(); next; next = this.#references.shift()) {
      next.found(this.schema(this.#pointed(next.to, next.at), next.to));
    }
    const most = this.#bounds?.inPlace ?? Number.POSITIVE_INFINITY;
    const weights = new Map<Node, number>();
    for (const each of this.#nodes.values()) {
      const weight = weightOf(each, weights);
      if (weight > most)
        this.refuse(each.at, `applies more than ${most} schemas to one value, with references followed`);
    }
    return node;
  }

  refuse(at: string, why: string): never {
    throw new SchemaError(at, why);
  }

  schema(given: Json, at: string): Node {
    if (typeof given === 'boolean') return { at, tests: given ? [] : [never], inPlace: [] };
    if (!isJsonObject(given)) this.refuse(at, 'must be a schema: an object or a boolean');
    const known = this.#nodes.get(given);
    if (known) return known;
    if (this.#reading.length >= MOST_LEVELS) this.refuse(at, `is nested more than ${MOST_LEVELS} levels deep`);
    this.#within('schemas', 1, at);
    const node: Node = { at, tests: [], inPlace: [] };
    this.#nodes.set(given, node);
    this.#reading.push(node);
    this.#readKeywords(node, given);
    this.#reading.pop();
    return node;
  }

  #readKeywords(node: Node, schema: JsonObject): void {
    const { at } = node;
    const add = (key: string, keyword: Keyword, given: Json) => {
      const test = keyword({ given, schema, at: `${at}/${escaped(key)}`, reader: this });
      if (test) node.tests.push(test);
    };
    const addAll = (keywords: Readonly<Record<string, Keyword>>) => {
      for (const [key, keyword] of Object.entries(keywords)) {
        const given = Object.hasOwn(schema, key) ? schema[key] : undefined;
        if (given !== undefined) add(key, keyword, given);
      }
    };
    const addOne = (keys: readonly string[], keyword: Keyword) => {
      const key = keys.find((each) => Object.hasOwn(schema, each));
      if (key !== undefined) add(key, keyword, schema[key] as Json);
    };
    for (const key of UNSUPPORTED) if (Object.hasOwn(schema, key)) this.refuse(`${at}/${key}`, 'is not supported here');
    if (at !== '#' && typeof schema.$id === 'string') this.refuse(`${at}/$id`, 'is allowed at the top only');
    addAll(SCALARS);
    addAll(APPLICATORS.objects);
    addOne(['properties', 'patternProperties', 'additionalProperties'], APPLICATORS.fields);
    addOne(['items', 'prefixItems'], APPLICATORS.items);
    addAll({ contains: APPLICATORS.contains });
    addAll(APPLICATORS.inPlace);
    const before = node.tests.length;
    addAll(APPLICATORS.unevaluated);
    if (node.tests.length > before) this.seeing = true;
  }

  /** Schemas applied to the same value as the one being read. */
  inPlace(...nodes: readonly Node[]): void {
    this.#reading.at(-1)?.inPlace.push(...nodes);
  }

  fills(): void {
    this.filling = true;
  }

  /** The target of a reference, available once everything has been read. */
  reference(given: Json, at: string): () => Node {
    const named = typeof given === 'string' ? given : this.refuse(at, 'must be a string');
    const base = isJsonObject(this.#root) && typeof this.#root.$id === 'string' ? this.#root.$id : undefined;
    const to = base !== undefined && named.startsWith(`${base}#`) ? named.slice(base.length) : named;
    if (to !== '#' && !to.startsWith('#/')) {
      this.refuse(
        at,
        `refers to ${JSON.stringify(to.slice(0, 200))}; only references within the schema, as #/$defs/name, are followed`,
      );
    }
    this.#within('references', 1, at);
    const owner = this.#reading.at(-1);
    let target: Node | undefined;
    const found = (node: Node) => {
      target = node;
      owner?.inPlace.push(node);
    };
    this.#references.push({ at, to, found });
    return () => target ?? this.refuse(at, 'has not been read');
  }

  #pointed(to: string, at: string): Json {
    let found: Json | undefined = this.#root;
    for (const part of to === '#' ? [] : to.slice(2).split('/')) {
      const key = unescaped(part) ?? this.refuse(at, `is not a JSON pointer: ${to.slice(0, 200)}`);
      const within: unknown = found;
      found =
        typeof within === 'object' && within !== null && Object.hasOwn(within, key)
          ? (within as JsonObject)[key]
          : undefined;
    }
    return found ?? this.refuse(at, `refers to ${JSON.stringify(to.slice(0, 200))}, which does not exist`);
  }

  object(given: Json, at: string): JsonObject {
    return isJsonObject(given) ? given : this.refuse(at, 'must be an object');
  }

  names(given: Json, at: string): readonly string[] {
    const names = Array.isArray(given) ? (given as readonly Json[]) : this.refuse(at, 'must be a list of names');
    return names.map((name) => (typeof name === 'string' ? name : this.refuse(at, 'must be a list of names')));
  }

  /** Schemas by name. */
  schemas(given: Json, at: string): ReadonlyMap<string, Node> {
    const all = Object.entries(this.object(given, at));
    return new Map(all.map(([key, each]) => [key, this.schema(each, `${at}/${escaped(key)}`)]));
  }

  list(given: Json, at: string, some = false): readonly Node[] {
    const all = Array.isArray(given) ? (given as readonly Json[]) : this.refuse(at, 'must be a list of schemas');
    if (some && all.length === 0) this.refuse(at, 'must have a schema in it');
    const most = this.#bounds?.alternatives ?? Number.POSITIVE_INFINITY;
    if (all.length > most) this.refuse(at, `has more than ${most} schemas`);
    return all.map((each, i) => this.schema(each, `${at}/${i}`));
  }

  countValues(values: readonly Json[]): void {
    this.#within('values', values.length, this.#reading.at(-1)?.at ?? '#');
  }

  /**
   * A pattern that is matched in linear time. In an author's own schema, one that cannot be is left to JavaScript's
   * engine: it is as trusted as the author’s code. With bounds, i.e. in schemas of others, it is rejected.
   */
  pattern(given: Json, at: string): LinearPattern {
    const source = typeof given === 'string' ? given : this.refuse(at, 'must be a string');
    try {
      const read = linearPattern(source);
      this.#within('patterns', read.weight, at);
      return read;
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      const own = this.#bounds ? undefined : nativePattern(source);
      return own ?? this.refuse(at, error.message);
    }
  }

  #within(what: keyof typeof COUNTED, more: number, at: string): void {
    this.#count[what] += more;
    const most = this.#bounds?.[what];
    if (most === undefined || this.#count[what] <= most) return;
    this.refuse(at, `exceeds the limit of ${most} ${COUNTED[what]}`);
  }
}

/** Number of schemas applied to a value besides one, including itself. Throws `SchemaError` for circular references. */
function weightOf(node: Node, known: Map<Node, number>): number {
  const before = known.get(node);
  if (before !== undefined) {
    if (before > 0) return before;
    throw new SchemaError(node.at, 'refers to itself without descending into the value');
  }
  known.set(node, 0);
  const weight = node.inPlace.reduce((sum, each) => sum + weightOf(each, known), 1);
  known.set(node, weight);
  return weight;
}

function nativePattern(source: string): LinearPattern | undefined {
  try {
    const own = new RegExp(source, 'u');
    return { weight: 1, test: (text) => own.test(text) };
  } catch {
    return undefined;
  }
}

const never: Node['tests'][number] = (_, check) => check.fail('may not be there');

const escaped = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

function unescaped(part: string): string | undefined {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return undefined;
  }
}
