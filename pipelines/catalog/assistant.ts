import { z } from 'zod';
import { audio, chat, has, pipeline, present, synthesize, transcribe } from '../index.js';

/**
 * A spoken or written question, answered in text and speech. A written question needs no speech recognition, and a run
 * whose `outputs` omit `speech` needs no speech synthesis.
 */
export const assistant = pipeline(
  'assistant',
  {
    description: 'A question, spoken or written, answered in text and, if wanted, out loud',
    input: z
      .object({ speech: audio().optional(), text: z.string().min(1).optional() })
      .refine(({ speech, text }) => (speech === undefined) !== (text === undefined), {
        path: ['speech'],
        message: 'give either speech or text',
      }),
    deadline: '5m',
  },
  ({ input, stage, when }) => {
    const question = when(
      'spoken',
      has(input.speech),
      () => stage('transcribe', transcribe({ model: 'whisper' }), { audio: present(input.speech) }).text,
      () => present(input.text),
    );
    const answer = stage(
      'answer',
      chat({ model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 64 }),
      { prompt: question },
    );
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.sentences });
    return { question, reply: answer.text, speech: spoken.audio };
  },
);
