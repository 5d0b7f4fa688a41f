import { z } from 'zod';
import { audio, chat, code, pipeline, semantic, synthesize, transcribe } from '../../pipelines/index.js';

/** Each line is a mistake that an author makes; the compiler must refuse it. The function is never called. */
export function mistakes() {
  pipeline('wrong', { input: z.object({ speech: audio(), n: z.number() }) }, ({ input, stage }) => {
    const heard = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
    // @ts-expect-error unknown field
    heard.txt;
    // @ts-expect-error number is not string
    stage('a', chat({ model: 'x' }), { prompt: input.n });
    // @ts-expect-error missing input
    stage('b', chat({ model: 'x' }), {});
    // @ts-expect-error text is not audio
    stage('c', transcribe({ model: 'x' }), { audio: heard.text });
    const phone = code(
      'phone',
      { input: z.object({ audio: audio({ rate: 8000 }) }), output: z.object({}) },
      () => ({}),
    );
    const studio = code('studio', { input: z.object({}), output: z.object({ audio: audio({ rate: 24000 }) }) }, () => {
      throw new Error('never called');
    });
    // @ts-expect-error 24 kHz into an 8 kHz input
    stage('d', phone, { audio: stage('e', studio, {}).audio });
    stage('f', phone, { audio: stage('g', synthesize({ model: 'tts' }), { text: heard.text }).audio });
    // @ts-expect-error a cache's key is text
    stage('h', chat({ model: 'x' }), { prompt: heard.text }, { cache: semantic({ key: input.n }) });
    return { text: heard.text };
  });
}
