import { z } from 'zod';
import { audio, chat, code, image, pipeline, synthesize, tensor } from '../../pipelines/index.js';

const fields = {
  text: z.string().min(1),
  count: z.int(),
  share: z.number().default(0.5),
  sure: z.boolean().optional(),
  label: z.enum(['a', 'b']).nullable(),
  sound: audio({ rate: 8_000 }).optional(),
  pictures: z.array(image()).optional(),
  words: z.array(z.string()).optional(),
  numbers: z.array(z.number()).optional(),
  gaps: z.array(z.number().nullable()).optional(),
  pair: z.tuple([z.string(), z.string()]).optional(),
  either: z.union([z.string(), z.number()]).optional(),
  config: z.object({ deep: z.array(z.object({ voice: audio() })) }).optional(),
  matrix: tensor({ dtype: 'FP32', shape: [-1, 2] }).optional(),
};

/** A field of every form, each given back. */
export const everyForm = pipeline('every-form', { input: z.object(fields) }, ({ input }) => ({ ...input }));

const said = z.object({ text: z.string() });

/** An output that is a stage's text. */
export const speaks = pipeline('speaks', { input: said, deadline: '2s' }, ({ input, stage }) => {
  const reply = stage(
    'reply',
    code('say', { input: said, output: said }, (given) => given),
    { text: input.text },
  );
  return { reply: reply.text, asked: input.text };
});

/** An output that is a stage's audio, and the text that it speaks. */
export const narrates = pipeline('narrates', { input: said, deadline: '20s' }, ({ input, stage }) => {
  const answer = stage('answer', chat({ model: 'llm' }), { prompt: input.text });
  const spoken = stage('say', synthesize({ model: 'voice' }), { text: answer.sentences });
  return { reply: answer.text, speech: spoken.audio };
});
