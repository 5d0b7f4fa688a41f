import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { ANY_SIZE, sizeOf } from './bounds.js';
import { type Check, Seen } from './check.js';
import type { Keyword, KeywordReader } from './keyword.js';
import { fits, type Node, partFits, type Test } from './node.js';

/** Required fields of an object. */
const has = (names: readonly string[]): Test => {
  return (value, check) => {
    if (!isJsonObject(value)) return true;
    check.spend(names.length);
    const missing = names.filter((name) => !Object.hasOwn(value, name));
    for (const name of missing) check.fail('is required', name);
    return missing.length === 0;
  };
};

/** What an object needs beside each field that it has, until the first test that fails. */
const beside = (tests: readonly (readonly [key: string, test: Test])[]): Test => {
  return (value, check, seen) => {
    if (!isJsonObject(value)) return true;
    check.spendOnParts(tests.length);
    return tests.every(([key, test]) => !Object.hasOwn(value, key) || test(value, check, seen));
  };
};

/** Fields that an object needs beside another one; none at all need no test. */
function needed(key: string, given: Json, at: string, reader: KeywordReader): [key: string, test: Test][] {
  const names = reader.names(given, `${at}/${key}`);
  return names.length === 0 ? [] : [[key, has(names)]];
}

const objects: Readonly<Record<string, Keyword>> = {
  required: ({ given, at, reader }) => {
    // A boolean up to draft 3, which some generators still write.
    if (typeof given === 'boolean') return undefined;
    return has(reader.names(given, at));
  },
  dependentRequired: ({ given, at, reader }) =>
    beside(Object.entries(reader.object(given, at)).flatMap(([key, names]) => needed(key, names, at, reader))),
  dependentSchemas: ({ given, at, reader }) => {
    const all = reader.schemas(given, at);
    reader.inPlace(...all.values());
    return (value, check, seen) => {
      if (!isJsonObject(value)) return true;
      check.spendOnParts(all.size);
      return every(all, check, ([key, node]) => !Object.hasOwn(value, key) || alsoFits(node, value, check, seen));
    };
  },
  /** Up to draft 7: either of the two above. */
  dependencies: ({ given, at, reader }) =>
    beside(
      Object.entries(reader.object(given, at)).flatMap(([key, each]): [string, Test][] => {
        if (Array.isArray(each)) return needed(key, each, at, reader);
        const nodes = [...reader.schemas({ [key]: each }, at).values()];
        reader.inPlace(...nodes);
        return nodes.map((node) => [key, fitsToo(node)]);
      }),
    ),
  propertyNames: ({ given, at, reader }) => {
    const node = reader.schema(given, at);
    return (value, check) =>
      !isJsonObject(value) ||
      every(Object.keys(value), check, (key) => check.at(key, () => partFits(node, key, check)));
  },
};

/** Checks all items, so that all errors are reported, unless only the result is needed. */
function every<Item>(items: Iterable<Item>, check: Check, holds: (item: Item) => boolean): boolean {
  let valid = true;
  for (const item of items) {
    valid = holds(item) && valid;
    if (!valid && check.trying) break;
  }
  return valid;
}

/**
 * `properties`, `patternProperties` and `additionalProperties`, which applies to fields not covered by the other two.
 */
const fields: Keyword = ({ schema, at, reader }) => {
  const base = at.slice(0, at.lastIndexOf('/'));
  const own = reader.schemas(schema.properties ?? {}, `${base}/properties`);
  const byPattern = Object.entries(reader.object(schema.patternProperties ?? {}, `${base}/patternProperties`)).map(
    ([source, each]) => {
      const where = `${base}/patternProperties/${source}`;
      return { pattern: reader.pattern(source, where), node: reader.schema(each, where) };
    },
  );
  const { additionalProperties } = schema;
  const others =
    additionalProperties === undefined
      ? undefined
      : reader.schema(additionalProperties, `${base}/additionalProperties`);
  const defaults = defaultsOf(schema);
  if (defaults.length > 0) reader.fills();
  return (value, check, seen) => {
    if (!isJsonObject(value)) return true;
    const given = Object.keys(value);
    check.spend(given.length + defaults.length);
    const valid = every(given, check, (key) => {
      const nodes = byPattern.filter(({ pattern }) => matches(pattern, key, check)).map(({ node }) => node);
      const named = own.get(key);
      if (named) nodes.push(named);
      if (nodes.length === 0 && others) nodes.push(others);
      if (nodes.length > 0) seen?.keys.add(key);
      return every(nodes, check, (node) => check.at(key, () => partFits(node, value[key] as Json, check)));
    });
    for (const { key, missing, size } of defaults) {
      if (Object.hasOwn(value, key)) continue;
      // One has been spent already.
      check.spend(size.values - 1);
      check.spendOnText(size.text);
      check.fill(value as Record<string, Json>, key, missing);
      seen?.keys.add(key);
    }
    return valid;
  };
};

function matches({ weight, test }: { weight: number; test: (text: string) => boolean }, key: string, check: Check) {
  check.spendOnPattern(weight, key);
  return test(key);
}

/** A field that is filled in, with the size of its value, which is copied. */
interface Default {
  readonly key: string;
  readonly missing: Json;
  readonly size: ReturnType<typeof sizeOf>;
}

const defaultsOf = ({ properties }: JsonObject): Default[] =>
  Object.entries(isJsonObject(properties) ? properties : {}).flatMap(([key, each]) =>
    isJsonObject(each) && each.default !== undefined
      ? [{ key, missing: each.default, size: sizeOf(each.default, ANY_SIZE) }]
      : [],
  );

/** `prefixItems` and `items`; up to draft 2019-09 these are a list in `items`, and `additionalItems`. */
const items: Keyword = ({ schema, at, reader }) => {
  const base = at.slice(0, at.lastIndexOf('/'));
  const listed = Array.isArray(schema.items);
  const first = listed
    ? reader.list(schema.items as Json, `${base}/items`)
    : reader.list(schema.prefixItems ?? [], `${base}/prefixItems`);
  const rest = listed ? schema.additionalItems : schema.items;
  const others = rest === undefined ? undefined : reader.schema(rest, `${base}/items`);
  return (value, check, seen) => {
    if (!Array.isArray(value)) return true;
    check.spend(value.length);
    if (seen) seen.items = Math.max(seen.items, others ? value.length : first.length);
    return every((value as readonly Json[]).entries(), check, ([i, each]) => {
      const node = first[i] ?? others;
      return !node || check.at(i, () => partFits(node, each, check));
    });
  };
};

const contains: Keyword = ({ given, schema, at, reader }) => {
  const node = reader.schema(given, at);
  const least = typeof schema.minContains === 'number' ? schema.minContains : 1;
  const most = typeof schema.maxContains === 'number' ? schema.maxContains : Number.POSITIVE_INFINITY;
  return (value, check, seen) => {
    if (!Array.isArray(value)) return true;
    let found = 0;
    for (const [i, each] of (value as readonly Json[]).entries()) {
      if (!check.attempt(() => partFits(node, each, check)).valid) continue;
      found++;
      seen?.contained.add(i);
    }
    return (found >= least && found <= most) || check.fail('has too few or too many items of the kind it must contain');
  };
};

/** Checks the same value against another schema; what that has evaluated counts if the value fits. */
function alsoFits(node: Node, value: Json, check: Check, seen: Seen | undefined): boolean {
  const own = seen && new Seen();
  const valid = fits(node, value, check, own);
  if (valid && own) {
    // Both are kept in sets, which takes longer than a look.
    check.spendOnParts(2 * (own.keys.size + own.contained.size));
    seen?.add(own);
  }
  return valid;
}

const fitsToo =
  (node: Node): Test =>
  (value, check, seen) =>
    alsoFits(node, value, check, seen);

const tries = (node: Node, value: Json, check: Check, seen: Seen | undefined) =>
  check.attempt(() => alsoFits(node, value, check, seen));

const choice =
  (only: boolean): Keyword =>
  ({ given, at, reader }) => {
    const nodes = reader.list(given, at, true);
    reader.inPlace(...nodes);
    return (value, check, seen) => {
      let fitting = 0;
      let closest: Check['errors'] = [];
      for (const node of nodes) {
        const { valid, errors } = tries(node, value, check, seen);
        if (valid) fitting++;
        if (valid && !only && !seen) return true;
        if (!valid && depthOf(errors) > depthOf(closest)) closest = errors;
      }
      if (only ? fitting === 1 : fitting > 0) return true;
      if (fitting > 1) return check.fail('fits several of its alternatives, and must fit one');
      const [first] = closest;
      const why = first ? `; the closest: ${first.field ? `${first.field}: ` : ''}${first.message}` : '';
      return check.fail(`fits none of its ${nodes.length} alternatives${why}`);
    };
  };

/** The alternative with the deepest error is probably the intended one. */
const depthOf = ([first]: Check['errors']): number => (first ? first.field.split('.').length : 0);

const inPlace: Readonly<Record<string, Keyword>> = {
  $ref: ({ given, at, reader }) => {
    const target = reader.reference(given, at);
    return (value, check, seen) => alsoFits(target(), value, check, seen);
  },
  allOf: ({ given, at, reader }) => {
    const nodes = reader.list(given, at, true);
    reader.inPlace(...nodes);
    return (value, check, seen) => every(nodes, check, (node) => alsoFits(node, value, check, seen));
  },
  anyOf: choice(false),
  oneOf: choice(true),
  not: ({ given, at, reader }) => {
    const node = reader.schema(given, at);
    reader.inPlace(node);
    return (value, check) =>
      !tries(node, value, check, check.seeing ? new Seen() : undefined).valid ||
      check.fail('fits what it must not fit');
  },
  if: ({ given, schema, at, reader }) => {
    const base = at.slice(0, at.lastIndexOf('/'));
    const [condition, then, otherwise] = [given, schema.then ?? true, schema.else ?? true].map((each, i) =>
      reader.schema(each, `${base}/${['if', 'then', 'else'][i]}`),
    ) as [Node, Node, Node];
    reader.inPlace(condition, then, otherwise);
    return (value, check, seen) => {
      const next = tries(condition, value, check, seen).valid ? then : otherwise;
      return alsoFits(next, value, check, seen);
    };
  },
};

const unevaluated: Readonly<Record<string, Keyword>> = {
  unevaluatedProperties: ({ given, at, reader }) => {
    const node = reader.schema(given, at);
    return (value, check, seen) => {
      if (!isJsonObject(value)) return true;
      const keys = Object.keys(value);
      check.spendOnParts(keys.length);
      const left = keys.filter((key) => !seen?.keys.has(key));
      for (const key of left) seen?.keys.add(key);
      return every(left, check, (key) => check.at(key, () => partFits(node, value[key] as Json, check)));
    };
  },
  unevaluatedItems: ({ given, at, reader }) => {
    const node = reader.schema(given, at);
    return (value, check, seen) => {
      if (!Array.isArray(value)) return true;
      check.spendOnParts(value.length);
      const from = seen?.items ?? 0;
      const left = (value as readonly Json[])
        .map((each, i) => [i, each] as const)
        .filter(([i]) => i >= from && !seen?.contained.has(i));
      if (seen) seen.items = value.length;
      return every(left, check, ([i, each]) => check.at(i, () => partFits(node, each, check)));
    };
  },
};

/** In order of evaluation; `fields` and `items` cover several keywords each. */
export const APPLICATORS = { objects, fields, items, contains, inPlace, unevaluated };
