import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, audio, pipeline, stageTool, synthesize, transcribe } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { failure, testPipeline, toolCalls } from '../../../testing/index.js';

const sha256 = 'a'.repeat(64);
const SPEECH = { uri: `artifact://default/${sha256}`, sha256, mime: 'audio/wav', bytes: 44 };

/** What a server is asked, of a stage that is bound to a whole object of the caller. */
describe('a field of a caller’s object that says how', () => {
  const word = z.string().nullish();
  const manner = { voice: word, speed: z.number().nullish(), instructions: word };
  const spoken = pipeline('spoken', { input: z.object({ text: z.string(), ...manner }) }, ({ input, stage }) => ({
    speech: stage('say', synthesize({ model: 'tts', voice: 'alloy' }), input as never).audio,
  }));
  const heard = pipeline(
    'heard',
    { input: z.object({ audio: audio(), language: word, prompt: word }) },
    ({ input, stage }) => ({ text: stage('hear', transcribe({ model: 'whisper' }), input as never).text }),
  );

  async function asked(of: 'say' | 'hear', input: JsonObject) {
    const inputs: JsonObject[] = [];
    const script = (given: JsonObject) => {
      inputs.push(given);
      return of === 'say' ? { audio: SPEECH } : { text: 'hello' };
    };
    const options = { stages: { [of]: script } };
    const run =
      of === 'say'
        ? await testPipeline(spoken, input as never, options)
        : await testPipeline(heard, input as never, options);
    return { code: run.error?.code, field: run.error?.details.fields?.[0]?.field, inputs };
  }

  it.each([null, ''])('is not given if it is %j', async (none) => {
    const said = await asked('say', { text: 'hi', voice: none, speed: null, instructions: none });
    expect(said).toEqual({ inputs: [{ text: 'hi' }] });
    const recording = { audio: { ...SPEECH } };
    expect(await asked('hear', { ...recording, language: none, prompt: none })).toEqual({ inputs: [recording] });
  });

  it('is sent as it is, within its bounds', async () => {
    const input = { text: 'hi', voice: 'nova', speed: 1.5, instructions: 'Whisper.' };
    expect(await asked('say', input)).toEqual({ inputs: [input] });
    expect(await asked('say', { text: 'hi', speed: 5 })).toEqual({ code: 'INVALID_INPUT', field: 'speed', inputs: [] });
    const german = { audio: SPEECH, language: 'German' };
    expect(await asked('hear', german)).toEqual({ code: 'INVALID_INPUT', field: 'language', inputs: [] });
  });
});

describe('a caller’s voice', () => {
  const input = z.object({ text: z.string(), voice: z.string(), speed: z.number() });
  const given = { text: 'hi', voice: 'nova', speed: 1.5 };
  const alternatives: readonly (readonly [{ model: string; voice?: string }, JsonObject])[] = [
    [
      { model: 'local', voice: 'amy' },
      { text: 'hi', speed: 1.5 },
    ],
    [{ model: 'local' }, given],
  ];

  it.each(alternatives)('is that of the stage, and of a fallback that names none: %j', async (other, sent) => {
    const spoken = pipeline('spoken', { input }, ({ input, stage }) => ({
      speech: stage(
        'say',
        synthesize({ model: 'cloud', voice: 'alloy' }),
        { text: input.text, voice: input.voice, speed: input.speed },
        { retry: { attempts: 1 }, fallback: [synthesize(other)] },
      ).audio,
    }));
    const models = { cloud: failure('BACKEND_ERROR'), local: { audio: SPEECH } };
    const { calls } = await testPipeline(spoken, given, { models });
    expect(calls.map(({ model, input }) => [model, input])).toEqual([
      ['cloud', given],
      ['local', sent],
    ]);
  });
});

it('a model that speaks by a tool has the voice that the author has chosen', async () => {
  const say = stageTool({ name: 'say', description: 'Speaks', use: synthesize({ model: 'tts', voice: 'alloy' }) });
  const spoken = pipeline('spoken', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
    text: stage('answer', agent({ model: 'assistant', tools: [say] }), { prompt: input.text }).text,
  }));
  const turn = toolCalls(['say', { text: 'hello', voice: 'nova', speed: 2, instructions: 'Shout.' }]);
  const scripts = { stages: { answer: [turn, { text: 'done' }] }, tools: { say: { audio: SPEECH } } };
  const { calls, output } = await testPipeline(spoken, { text: 'hi' }, scripts);
  expect(output).toEqual({ text: 'done' });
  expect(calls.filter(({ tool }) => tool === 'say').map(({ input }) => input)).toEqual([{ text: 'hello' }]);
});
