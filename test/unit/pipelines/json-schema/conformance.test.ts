import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../../pipelines/json.js';
import { readSchema, SchemaError } from '../../../../pipelines/json-schema/index.js';

interface Group {
  readonly description: string;
  readonly schema: Json;
  readonly tests: readonly { readonly description: string; readonly data: Json; readonly valid: boolean }[];
}

const SUITE = JSON.parse(readFileSync('test/fixtures/json-schema/draft2020-12.json', 'utf8')) as Record<
  string,
  readonly Group[]
>;

/** What a schema may not have here: a second schema, by another name than a path within the first. */
const ELSEWHERE = /only references within the schema|is allowed at the top only|is not supported here/;

const read = (schema: Json) => {
  try {
    return readSchema(schema);
  } catch (error) {
    if (error instanceof SchemaError && ELSEWHERE.test(error.message)) return undefined;
    throw error;
  }
};

describe('the JSON Schema Test Suite, 2020-12', () => {
  it.each(Object.entries(SUITE))('%s', (_, groups) => {
    for (const { description, schema, tests } of groups) {
      const checked = read(schema);
      if (!checked) continue;
      for (const { description: of, data, valid } of tests) {
        expect('data' in checked.fit(data), `${description}: ${of}`).toBe(valid);
      }
    }
  });

  it('is passed over only where schemas refer to others', () => {
    const all = Object.values(SUITE).flat();
    const passedOver = all.filter(({ schema }) => read(schema) === undefined);
    expect(all.length).toBeGreaterThan(290);
    expect(passedOver.length).toBeLessThan(25);
  });
});
