import { z } from 'zod';
import { approve, audio, code, image, pipeline } from '../../pipelines/index.js';

/** Pipelines with every kind of input that cost next to nothing to run. */
const said = z.object({ text: z.string() });
const echo = code('echo', { input: said, output: said }, (input) => input);

export const plain = pipeline(
  'plain',
  {
    description: 'Returns its input',
    input: z.object({
      text: z.string().max(200),
      language: z.enum(['en', 'de']).default('en'),
      count: z.int().min(0).max(9).optional(),
      tags: z.array(z.string().max(20)).max(5).default([]),
      speaker: z.object({ name: z.string().max(50), age: z.number().optional() }).optional(),
    }),
    deadline: '10s',
  },
  ({ input, stage }) => ({ text: stage('echo', echo, { text: input.text }).text, language: input.language }),
);

export const media = pipeline(
  'media',
  {
    description: 'Stores its input',
    input: z.object({ speech: audio(), picture: image().optional(), clips: z.array(audio()).max(3).default([]) }),
    deadline: '10s',
  },
  ({ input }) => ({ speech: input.speech, clips: input.clips }),
);

export const asked = pipeline(
  'asked',
  { description: 'Asks a person', input: z.object({ subject: z.string().max(100) }), deadline: '10s' },
  ({ input, stage }) => ({ by: stage('review', approve({ timeout: '1s' }), { subject: input.subject }).by }),
);
