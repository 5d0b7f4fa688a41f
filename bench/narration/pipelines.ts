import { z } from 'zod';
import { chat, pipeline, synthesize } from '../../pipelines/index.js';

/** Tells the story that the prompt asks for, and speaks it. */
export const narrator = pipeline(
  'narrator',
  { input: z.object({ prompt: z.string() }), deadline: '30m' },
  ({ input, stage }) => {
    const timeout = { attempt: '20m', total: '25m' } as const;
    const told = chat({ model: 'storyteller', maxTokens: 16_000 });
    const story = stage('story', told, { prompt: input.prompt }, { timeout });
    return { speech: stage('speak', synthesize({ model: 'voice' }), { text: story.sentences }, { timeout }).audio };
  },
);
