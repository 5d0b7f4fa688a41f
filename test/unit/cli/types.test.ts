import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readManifest } from '../../../cli/types/manifest.js';
import { moduleSource } from '../../../cli/types/module-source.js';
import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import { deleteStage, everythingElse } from '../../fixtures/python-sdk/python-stages.js';

const fixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../fixtures/python-sdk/${name}`, import.meta.url)), 'utf8');

/** A manifest of one stage with this field in its input. */
const manifestOf = (field: object, $defs: object = {}, more: object = {}) =>
  JSON.stringify({
    protocol: 1,
    queue: 'python',
    stages: [
      {
        type: 'denoise',
        input: { type: 'object', properties: { field }, required: ['field'], $defs, ...more },
        output: { type: 'object', properties: {} },
      },
    ],
  });
const sourceOf = (text: string) => moduleSource(readManifest(text));

describe('millrace types', () => {
  it('writes the module that the type check and the tests below use', () => {
    const written = fixture('python-stages.ts').replace("'../../../pipelines/index.js'", "'millrace'");
    expect(sourceOf(fixture('manifest.json'))).toBe(written);
  });

  it('writes fields that are read as streams', () => {
    const stream = { type: 'array', items: { type: 'integer' }, stream: true, title: 'Field' };
    const source = sourceOf(manifestOf(stream));
    expect(source).toContain('field: streamOf(z.int())');
    expect(source).toContain("import { activity, streamOf } from 'millrace'");
    expect(() => sourceOf(manifestOf({ type: 'object', properties: { inner: stream } }))).toThrow(
      'which only a field of the input itself can be',
    );
  });

  it('gives activities that speak the protocol', () => {
    expect(everythingElse).toMatchObject({
      kind: 'activity',
      model: 'everything-else',
      with: { queue: 'python.everything-else@2', protocol: 'millrace', heartbeatMs: 120_000, version: '2' },
    });
    expect(deleteStage).toMatchObject({ model: 'delete', with: { queue: 'python', heartbeatMs: 5_000 } });
  });

  const sha256 = '0'.repeat(64);
  const file = { uri: `artifact://acme/${sha256}`, sha256, mime: 'audio/wav', bytes: 1 };
  const least = { speech: file, files: [file], text: 'a/b' };
  const accepts = (more: object) => everythingElse.input.safeParse({ ...least, ...more }).success;

  it.each([
    ['picture', [null, undefined, { ...file, mime: 'image/png' }], [file]],
    ['clip', [undefined, { ...file, mime: 'video/mp4' }, { ...file, mime: 'audio/webm' }], [file, null]],
    ['paper', [{ ...file, mime: 'application/pdf' }], [file, {}]],
    ['other', [file, { ...file, mime: 'application/pdf' }, null], [{}, 'a', 1]],
    ['files', [Array.from({ length: 9 }, () => file)], [[], Array.from({ length: 10 }, () => file), [1]]],
    ['text', ['a/b', 'a/1b'], ['', 'a/', 'a/c', `a/${'b'.repeat(79)}`]],
    ['gain', [0, 1.4, undefined], [-0.1, 1.5]],
    ['even', [2], [1, 2.5]],
    ['mixed', [1, 'one', null], [2, 'two']],
    [
      'pet',
      [
        { kind: 'cat', lives: 1 },
        { kind: 'dog', owner: 'high' },
      ],
      [{ kind: 'cat' }, { kind: 'cow' }],
    ],
    ['pet', [{ kind: 'dog', more: 1 }], [{ kind: 'cat', lives: 1, more: 1 }]],
    ['pair', [[1, 'a']], [[1], ['a', 1], [1, 'a', 2]]],
    ['counts', [{}, { a: 1 }], [{ a: 'b' }]],
    ['loose', [{}, { a: 'b' }], [[]]],
    ['any', [1, 'a', null, [], undefined], []],
    ['odd-name', ['high'], ['low']],
    ['nothing', [null], [0]],
    ['more', ['fields', 1], []],
  ] as const)('checks %s as the Python model does', (name, right, wrong) => {
    expect(accepts({})).toBe(true);
    for (const value of right) expect(accepts({ [name]: value }), JSON.stringify(value)).toBe(true);
    for (const value of wrong) expect(accepts({ [name]: value }), JSON.stringify(value)).toBe(false);
  });

  it('keeps descriptions, and the formats that are checked', () => {
    const { properties = {} } = z.toJSONSchema(everythingElse.input, { unrepresentable: 'any' });
    const described = Object.entries(properties).flatMap(([name, field]) =>
      isJsonObject(field as JsonObject) && (field as JsonObject).description
        ? [[name, (field as JsonObject).description]]
        : [],
    );
    expect(Object.fromEntries(described)).toMatchObject({ speech: 'What is said', gain: 'How loud' });
    expect(properties).toMatchObject({ day: { type: 'string', format: 'date' }, moment: { type: 'string' } });
    expect(properties.tags).toMatchObject({ uniqueItems: true });
  });

  it('checks results', () => {
    expect(everythingElse.output.safeParse({ n: 1, more: 'a' }).success).toBe(true);
    for (const wrong of [{}, { n: 1.5 }, { n: 1, more: 1 }])
      expect(everythingElse.output.safeParse(wrong).success).toBe(false);
  });

  it.each([
    [
      { patternProperties: {}, type: 'object' },
      'stage "denoise" input #/properties/field/patternProperties: is not supported here; use a simpler type in the Python model',
    ],
    [{ type: ['string', 'null'] }, '#/properties/field/type: ["string","null"] is not a type that is supported'],
    [{ type: 'string', contentSchema: {} }, '#/properties/field/contentSchema: is not supported here'],
    [
      { type: 'string', pattern: '(?P<x>a)' },
      '#/properties/field/pattern: "(?P<x>a)" is not a regular expression of JavaScript',
    ],
    [{ type: 'string', minLength: '1' }, '#/properties/field/minLength: must be a number'],
    [
      { type: 'array', prefixItems: [{}], minItems: 1 },
      '#/properties/field/prefixItems: only tuples of a fixed length',
    ],
    [
      { items: { anyOf: [{ not: {} }, {}] }, type: 'array' },
      '#/properties/field/items/anyOf/0/not: is not supported here',
    ],
    [{ enum: [{}] }, '#/properties/field/enum/0: only texts, numbers, booleans and null'],
    [{ const: [] }, '#/properties/field/const: only texts'],
    [{ allOf: [{}, {}] }, '#/properties/field/allOf: only one schema'],
    [{ media: 'file', types: [1] }, '#/properties/field/types: must be a list of texts'],
    [{ media: 'video', types: ['video/mp4'] }, '#/properties/field/types: is not supported here'],
    [{ media: 'smell' }, '#/properties/field/media: "smell" is not a kind of media'],
    [{ $ref: '#/$defs/Gone' }, '#/properties/field/$ref: refers to "#/$defs/Gone", which is not in $defs'],
    [{ $ref: 'https://example.com' }, 'which is not in $defs'],
    [true, '#/properties/field: must be a JSON Schema that is an object'],
  ] as const)('refuses %j', (field, message) => {
    expect(() => sourceOf(manifestOf(field as object))).toThrow(message);
  });

  it('refuses models that contain themselves, and names them', () => {
    const tree = { type: 'object', properties: { left: { $ref: '#/$defs/Tree' } } };
    expect(() => sourceOf(manifestOf({ $ref: '#/$defs/Tree' }, { Tree: tree }))).toThrow(
      'input #/$defs/Tree/properties/left: the model Tree contains itself, which is not supported',
    );
  });

  it('bounds what references unfold to', () => {
    const models = Array.from({ length: 20 }, (_, i) => [
      `M${i}`,
      { type: 'object', properties: { a: { $ref: `#/$defs/M${i + 1}` }, b: { $ref: `#/$defs/M${i + 1}` } } },
    ]);
    expect(() => sourceOf(manifestOf({ $ref: '#/$defs/M0' }, { ...Object.fromEntries(models), M20: {} }))).toThrow(
      'unfolds to more than 10000 schemas',
    );
  });

  it('gives a stage named as an import of the module another name', () => {
    const { stages, ...rest } = JSON.parse(manifestOf({ media: 'video' })) as { stages: object[] };
    const named = { ...rest, stages: ['video', 'file'].map((type) => ({ ...stages[0], type })) };
    const source = sourceOf(JSON.stringify(named));
    expect(source).toContain("import { activity, video } from 'millrace'");
    expect([...source.matchAll(/export const (\w+)/g)].map(([, name]) => name)).toEqual(['videoStage', 'fileStage']);
  });

  it('gives a stage that yields the schema of an entry, also of one that is no object', () => {
    const { stages, ...rest } = JSON.parse(manifestOf({ media: 'audio' })) as { stages: { input: object }[] };
    const [{ input } = { input: {} }] = stages;
    const word = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
    const list = { $defs: { Word: word }, type: 'array', items: { $ref: '#/$defs/Word' } };
    const yielding = { ...rest, stages: [{ type: 'words', input, entry: list }] };
    const source = sourceOf(JSON.stringify(yielding));
    expect(source).toContain("import { activityStream, audio } from 'millrace'");
    expect(source).toContain('export const words = activityStream({');
    expect(source).toContain('  entry: z.array(z.object({\n    text: z.string(),\n  })),\n');
    expect(source).not.toContain('protocol');
    const both = { ...rest, stages: [...stages, { type: 'words', input, entry: { type: 'string' } }] };
    expect(sourceOf(JSON.stringify(both))).toContain("import { activity, activityStream, audio } from 'millrace'");
    const neither = { ...rest, stages: [{ type: 'words', input }] };
    expect(() => readManifest(JSON.stringify(neither))).toThrow('stages.0.output: must be a JSON Schema');
    const too = { ...rest, stages: [{ ...stages[0], entry: word }] };
    expect(() => readManifest(JSON.stringify(too))).toThrow('a stage that yields has an entry instead');
  });

  it('refuses two stages that would be one export', () => {
    const { stages, ...rest } = JSON.parse(manifestOf({})) as { stages: object[] };
    const both = { ...rest, stages: ['a-b', 'aB'].map((type) => ({ ...stages[0], type })) };
    expect(() => sourceOf(JSON.stringify(both))).toThrow(
      'stage "aB": would be exported as aB, as "a-b" is; rename one',
    );
  });

  it.each([
    ['{', 'manifest: is not JSON; make it with: python -m millrace manifest MODULE'],
    ['{}', 'protocol: must be 1'],
    [
      JSON.stringify({ protocol: 2, queue: 'q', stages: [] }),
      'protocol: must be 1: this release of Millrace reads no other',
    ],
    [JSON.stringify({ protocol: 1, queue: 'q', stages: [] }), 'stages: '],
    [JSON.stringify({ protocol: 1, queue: 'q', stages: [{ type: '1' }] }), 'stages.0.type: is not the name of a stage'],
    [
      JSON.stringify({ protocol: 1, queue: 'q', stages: [{ type: 'a', input: [] }] }),
      'stages.0.input: must be a JSON Schema',
    ],
  ])('refuses the manifest %s', (text, message) => {
    expect(() => readManifest(text)).toThrow(message);
  });
});
