import { z } from 'zod';
import { chat, pipeline, synthesize } from '../../pipelines/index.js';

const narrator = (execution: 'queued' | 'inline') =>
  pipeline(
    `narrator-${execution}`,
    { input: z.object({ question: z.string() }), deadline: '5m' },
    ({ input, stage }) => {
      const told = chat({
        model: 'assistant',
        system: 'You tell short stories of five sentences.',
        maxTokens: 80,
        temperature: 0,
      });
      const options = { execution, retry: { attempts: 5 }, timeout: { attempt: '2m' } } as const;
      const answer = stage('answer', told, { prompt: input.question }, options);
      const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.sentences }, options);
      return { reply: answer.text, speech: spoken.audio };
    },
  );

export const queued = narrator('queued');
export const inline = narrator('inline');

/** The same questions in every suite; the answers have several sentences. */
export const QUESTIONS = [
  'Tell me about a fox who finds a lantern in the wood.',
  'Tell me about an owl who cannot sleep at night.',
  'Tell me about a miller whose wheel stands still.',
  'Tell me about a boat that sails on its own.',
  'Tell me about a dog who learns to count.',
] as const;
