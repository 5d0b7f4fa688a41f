import { audio, chat, pipeline, semantic, synthesize, transcribe } from 'millrace';
import { z } from 'zod';

/** A question, answered in one sentence. */
export const ask = pipeline(
  'ask',
  {
    description: 'A question, answered in one sentence',
    input: z.object({ question: z.string().min(1) }),
    deadline: '1m',
  },
  ({ input, stage }) => {
    const answer = stage(
      'answer',
      chat({ model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 64 }),
      { prompt: input.question },
      { retry: { attempts: 3 } },
    );
    return { answer: answer.text };
  },
);

/** The same by voice. A question that means the same as an earlier one gets its answer without a call of the LLM. */
export const askAloud = pipeline(
  'ask-aloud',
  { description: 'A spoken question, answered aloud', input: z.object({ speech: audio() }), deadline: '2m' },
  ({ input, stage }) => {
    const question = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
    const answer = stage(
      'answer',
      chat({ model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 64 }),
      { prompt: question.text },
      { cache: semantic({ key: question.text, ttl: '1d' }) },
    );
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.text });
    return { question: question.text, answer: answer.text, speech: spoken.audio };
  },
);
