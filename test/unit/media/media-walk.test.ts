import { expect, test } from 'vitest';
import { z } from 'zod';
import { mapMedia, mediaFields, schemasAt } from '../../../media/index.js';
import type { Json } from '../../../pipelines/json.js';
import { audio, image } from '../../../pipelines/media.js';

const take = async (value: Json, { kind, path }: { kind: string; path: string }) => `${kind} ${path} ${value}`;

test('media is found through what wraps it', async () => {
  const schema = z.object({
    optional: audio().optional(),
    nullable: image().nullable(),
    described: audio({ rate: 8000 }).describe('a voice'),
    readonly: z.array(audio()).readonly(),
    lazy: z.lazy(() => audio()),
    text: z.string(),
  });
  const value = { optional: 1, nullable: 2, described: 3, readonly: [4, 5], lazy: 6, text: 'x', unknown: 7 };
  expect(await mapMedia(schema, value, take)).toEqual({
    optional: 'audio optional 1',
    nullable: 'image nullable 2',
    described: 'audio described 3',
    readonly: ['audio readonly.0 4', 'audio readonly.1 5'],
    lazy: 'audio lazy 6',
    text: 'x',
    unknown: 7,
  });
  expect(mediaFields(schema).map(({ path }) => path)).toEqual([
    'optional',
    'nullable',
    'described',
    'readonly.*',
    'lazy',
  ]);
});

test('null stays where it may be, and is taken where it may not', async () => {
  const schema = z.object({ may: audio().nullable(), mayNot: audio().optional() });
  expect(await mapMedia(schema, { may: null, mayNot: null }, take)).toEqual({ may: null, mayNot: 'audio mayNot null' });
});

test('of a union the member that the value is meant for counts', async () => {
  const schema = z.union([
    z.object({ kind: z.literal('a'), x: audio() }),
    z.object({ kind: z.literal('b'), x: z.string() }),
    z.array(image()),
    audio(),
    z.string(),
  ]);
  const walk = (value: Json) => mapMedia(schema, value, async (_, { kind, path }) => `${kind} ${path}`, 'top');
  expect(await walk({ kind: 'a', x: 'x' })).toEqual({ kind: 'a', x: 'audio top.x' });
  expect(await walk({ kind: 'b', x: 'x' })).toEqual({ kind: 'b', x: 'x' });
  expect(await walk(['x'])).toEqual(['image top.0']);
  expect(await walk({ uri: 'artifact://…' })).toBe('audio top');
  expect(await walk('text')).toBe('text');
  expect(await walk(null)).toBe(null);
});

test('schemas that contain themselves end', async () => {
  const tree: z.ZodType = z.object({ voice: audio(), children: z.array(z.lazy(() => tree)) });
  const fresh: z.ZodType = z.lazy(() => z.object({ voice: audio(), next: z.lazy(() => fresh).optional() }));
  expect(mediaFields(tree)[0]?.path).toBe('voice');
  expect(mediaFields(fresh).length).toBeLessThan(20);
  expect(mediaFields(z.json())).toEqual([]);
  const value = { voice: 1, children: [{ voice: 2, children: [] }] };
  expect(await mapMedia(tree, value, take)).toEqual({
    voice: 'audio voice 1',
    children: [{ voice: 'audio children.0.voice 2', children: [] }],
  });
});

test('a value without a place for media is not walked', async () => {
  const value = { a: [1, { b: 2 }] };
  expect(await mapMedia(z.json(), value, take)).toBe(value);
});

test('a path leads to its schemas, by own names only', () => {
  const schema = z.object({ list: z.array(z.object({ voice: audio() })), either: z.union([audio(), z.string()]) });
  const at = (path: string) => schemasAt(schema, path.split('.')).length;
  expect(['list', 'list.3', 'list.3.voice', 'either'].map(at)).toEqual([1, 1, 1, 2]);
  expect(['nope', 'list.x', 'list.-1', 'list.01', 'list.3.nope', 'constructor', 'list.length'].map(at)).toEqual(
    Array(7).fill(0),
  );
});

test('thousands of values leave the event loop to others', async () => {
  const part = z.union([
    z.object({ type: z.literal('text'), text: z.string() }),
    z.object({ type: z.literal('voice'), voice: audio() }),
  ]);
  const value = Array.from({ length: 10_000 }, () => ({ type: 'text', text: 'x' }));
  let turns = 0;
  let over = false;
  const beat = () => {
    turns += 1;
    if (!over) setImmediate(beat);
  };
  setImmediate(beat);
  expect(await mapMedia(z.array(part), value, take)).toEqual(value);
  over = true;
  expect(turns).toBeGreaterThanOrEqual(10);
});
