import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { nextCommand } from '../../../cli/next-step.js';
import { inputOf } from '../../../cli/run-input.js';
import { bodyOf } from '../../../client/values.js';
import { pipelines } from '../../../pipelines/catalog/index.js';
import { audio, image, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-input-'));
const file = (name: string, content: string | Buffer): string => {
  const at = path.join(folder, name);
  writeFileSync(at, content);
  return at;
};
const wav = file('speech.wav', Buffer.from('RIFF....WAVE'));
const prompt = file('prompt.txt', 'Why?\nBecause.');
const options = file('options.json', '{"style":"short","tags":["a"]}');
const long = file('long.json', '{"style":"short","tags":[9007199254740993]}');

const mixed = pipeline(
  'mixed',
  {
    input: z.object({
      speech: audio(),
      prompt: z.string(),
      options: z.object({ style: z.string(), tags: z.array(z.string()) }).optional(),
      pages: z.array(z.object({ scan: image(), note: z.string().nullable() })).optional(),
    }),
  },
  ({ input }) => ({ prompt: input.prompt }),
);
const described = () => Promise.resolve({ name: mixed.name, input: mixed.inputSchema as JsonObject });
const given = (files: Record<string, string>, input: JsonObject = {}) => inputOf({ input, file: files }, described);

describe('run --file', () => {
  it('puts files into the fields of their kinds: media, text and JSON', async () => {
    const input = await given({ speech: wav, prompt, options });
    expect(input).toMatchObject({ prompt: 'Why?\nBecause.', options: { style: 'short', tags: ['a'] } });
    expect(input.speech).toBeInstanceOf(File);
    expect((input.speech as File).name).toBe('speech.wav');
    expect(Buffer.from(await (input.speech as File).arrayBuffer()).toString()).toBe('RIFF....WAVE');
  });

  it('reaches nested fields, beside those of --input, and is uploaded as the client does', async () => {
    const input = await given(
      { 'pages.0.scan': wav, 'pages.0.note': prompt, speech: wav },
      { prompt: 'So?', pages: [] },
    );
    expect(input).toMatchObject({ prompt: 'So?', pages: [{ note: 'Why?\nBecause.' }] });
    const { body } = bodyOf(input);
    const parts = [...(body as FormData)].filter(([, part]) => part instanceof File).map(([name]) => name);
    expect(parts.sort()).toEqual(['input', 'pages.0.scan', 'speech']);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'an unknown field',
      { speach: wav },
      /--file speach: pipeline "mixed" has no field "speach"; its fields: speech, prompt/,
    ],
    ['a field in media', { 'speech.bytes': wav }, /no field "speech\.bytes"/],
    ['a missing file', { speech: `${wav}.no` }, /--file speech: cannot read .*\.no/],
    [
      'a file that is not JSON',
      { options: prompt },
      /--file options: the field is neither media nor a text, and .* is not JSON/,
    ],
    [
      'an integer that a number does not hold',
      { options: long },
      /--file options: options\.tags\.0 is an integer of more digits than a number holds/,
    ],
  ])('refuses %s', async (_, files, message) => {
    await expect(given(files)).rejects.toThrow(message);
  });

  it('describes the pipeline only if there is a file', async () => {
    const input = await inputOf({ input: { a: 1 } }, () => Promise.reject(new Error('not needed')));
    expect(input).toEqual({ a: 1 });
  });
});

describe('the next command', () => {
  const one = (shape: z.ZodRawShape) =>
    pipeline('mine', { input: z.object(shape) }, () => ({ x: 1 })) as unknown as Pipeline;

  it.each<[string, z.ZodRawShape, string]>([
    ['a text', { question: z.string() }, `millrace run mine --input '{"question":"What is the capital of France?"}'`],
    ['a file', { clip: audio(), seen: image() }, 'millrace run mine --file clip=speech.wav --file seen=picture.png'],
    ['fields with defaults', { m: z.string().default('x') }, 'millrace run mine'],
    [
      'fields of which one may be needed',
      { a: audio().optional(), n: z.number().optional() },
      `millrace run mine --input '{"n":1}'`,
    ],
    ['a value with a quote', { a: z.literal("it's") }, `millrace run mine --input '{"a":"it'\\''s"}'`],
    ['a value that cannot be told', { id: z.string().regex(/^x/) }, `millrace run mine --input '{"id":"…"}'`],
  ])('gives %s', (_, shape, command) => {
    expect(nextCommand([one(shape)])).toBe(command);
  });

  it('is for a pipeline that needs no file if there is one', () => {
    expect(nextCommand(pipelines)).toMatch(/^millrace run [\w-]+ --input/);
    expect(nextCommand([one({ clip: audio() })])).toContain('--file clip=');
    expect(nextCommand([])).toBeUndefined();
  });
});
