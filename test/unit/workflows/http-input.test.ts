import { expect, it } from 'vitest';
import type { JsonObject } from '../../../pipelines/json.js';
import { STAGE_KINDS } from '../../../pipelines/stages/index.js';
import { httpInput } from '../../../workflows/interpreter/agent/http-input.js';

const places = { path: ['id'], query: ['tags', 'lang', 'toString'], body: { rest: true } } as const;

it.each<[string, JsonObject, JsonObject]>([
  [
    'each in its place',
    { id: 'a', tags: ['x', 'y'], more: [1] },
    { path: { id: 'a' }, query: { tags: ['x', 'y'] }, body: { more: [1] } },
  ],
  [
    'without null in path and query',
    { id: null, tags: ['x', null], lang: null, more: null },
    { path: {}, query: { tags: ['x'] }, body: { more: null } },
  ],
  ['without those that are left out', {}, { path: {}, query: {}, body: {} }],
])('a tool’s arguments are the input of an http call, %s', (_, given, input) => {
  expect(httpInput(places, given)).toEqual(input);
  expect(STAGE_KINDS.http.input.safeParse(input).success).toBe(true);
});
