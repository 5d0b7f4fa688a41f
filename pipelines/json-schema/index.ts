import { z } from 'zod';
import type { FieldError } from '../errors.js';
import type { Json } from '../json.js';
import { FOREIGN, LARGEST, sizeOf } from './bounds.js';
import { Check } from './check.js';
import { partFits } from './node.js';
import { noneCounted, Reader, SchemaError } from './reader.js';

/**
 * Interprets JSON Schema (2020-12, and what drafts 4 to 2019-09 write differently): no code is generated from a schema,
 * patterns are matched in linear time, and a check is limited to a number of steps. So a third party's schema cannot
 * block a process.
 */
export { TooCostlyError } from './check.js';
export { linearPattern } from './linear-pattern.js';
export { SchemaError } from './reader.js';

/** A value completed with the schema's defaults, or why it does not fit. */
export type Fitted = { readonly data: Json } | { readonly fields: readonly FieldError[] };

/** A schema that is read once and checks any number of values. */
export interface CheckedSchema {
  /** Throws `TooCostlyError`. */
  fit(value: Json): Fitted;
}

/** Larger values are rejected unchecked: their check would take too many steps in any case. */
const LARGEST_VALUE = { levels: 200, values: 200_000, text: 16 * 1_024 * 1_024 };

/** Reads a schema of a pipeline's author, or one that `refusedForeign` accepted. Throws `SchemaError`. */
export function readSchema(schema: Json): CheckedSchema {
  const reader = new Reader(schema);
  const node = reader.read();
  return {
    fit(given) {
      const check = new Check(reader.seeing);
      const { levels, values, text } = sizeOf(given, LARGEST_VALUE);
      if (levels > LARGEST_VALUE.levels || values > LARGEST_VALUE.values || text > LARGEST_VALUE.text) {
        return { fields: [{ field: '', message: 'is too large or nested too deeply' }] };
      }
      check.spend(values);
      const data = reader.filling ? structuredClone(given) : given;
      return partFits(node, data, check) ? { data } : { fields: check.errors };
    },
  };
}

/** A rejected schema, and why. */
export interface Refused<Name> {
  readonly name: Name;
  readonly why: string;
}

/**
 * The first rejected schema, if any, of named schemas that were written by a caller or an MCP server instead of the
 * pipeline's author. Together they are limited in everything that can make it slow to read them, here or at a model
 * server, or to check values against them.
 */
export function refusedForeign<Name>(schemas: Iterable<readonly [Name, Json]>): Refused<Name> | undefined {
  const sum = { values: 0, text: 0 };
  const count = noneCounted();
  for (const [name, schema] of schemas) {
    const { levels, values, text } = sizeOf(schema, LARGEST);
    sum.values += values;
    sum.text += text;
    if (levels > LARGEST.levels) return { name, why: `is nested more than ${LARGEST.levels} levels deep` };
    if (sum.values > LARGEST.values) return { name, why: `exceeds the limit of ${LARGEST.values} values` };
    if (sum.text > LARGEST.text) return { name, why: `exceeds the limit of ${LARGEST.text} characters` };
    try {
      new Reader(schema, FOREIGN, count).read();
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      return { name, why: error.message };
    }
  }
  return undefined;
}

type Path = readonly (string | number)[];

function refine(schemas: Iterable<readonly [Path, Json]>, context: z.RefinementCtx): void {
  const refused = refusedForeign(schemas);
  if (refused) context.addIssue({ code: 'custom', message: refused.why, path: [...refused.name] });
}

/** A JSON Schema in an input. */
export const foreignSchema = z
  .looseObject({})
  .superRefine((schema, context) => refine([[[], schema as Json]], context));

/** JSON Schemas in the items of a list, each at the path `within` in its item. */
export const foreignSchemas =
  (...within: readonly string[]) =>
  (items: readonly unknown[], context: z.RefinementCtx): void => {
    const found = items.flatMap((item, i): [Path, Json][] => {
      const schema = within.reduce((part, key) => (part as Record<string, unknown> | undefined)?.[key], item);
      return schema === undefined || schema === null ? [] : [[[i, ...within], schema as Json]];
    });
    refine(found, context);
  };
