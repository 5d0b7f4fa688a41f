import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { executePipeline } from '../../client/temporal.js';
import { activity, audio, pipeline, synthesize, workflow } from '../../pipelines/index.js';

/** Mistakes with what other workers serve that the compiler must refuse. The functions are never called. */
export async function mistakesOfForeignStages(client: Client) {
  const denoise = activity({
    queue: 'python',
    type: 'denoise',
    input: z.object({ speech: audio({ rate: 16_000 }), gain: z.number() }),
    output: z.object({ speech: audio({ rate: 16_000 }), seconds: z.number() }),
    args: ['speech', 'gain'],
  });
  const name = workflow({ queue: 'risk', type: 'Name', input: z.object({ id: z.string() }), output: z.string() });
  const both = pipeline('wrong', { input: z.object({ id: z.string(), n: z.number() }) }, ({ input, stage }) => {
    const clean = stage('a', denoise, { speech: null as never, gain: input.n });
    // @ts-expect-error unknown field
    clean.noise;
    // @ts-expect-error text is not a number
    stage('b', denoise, { speech: clean.speech, gain: input.id });
    const studio = stage('s', synthesize({ model: 'tts' }), { text: input.id });
    stage('c', denoise, { speech: studio.audio, gain: 1 });
    const told = stage('d', name, { id: input.id });
    // The result itself is the output.
    stage('e', name, { id: told });
    // @ts-expect-error a text has no fields
    told.text.name;
    // @ts-expect-error the field is missing
    stage('f', name, {});
    // @ts-expect-error an optional stage's output may be null
    stage('g', name, { id: stage('h', name, { id: 'x' }, { optional: true }) });
    return { seconds: clean.seconds, told };
  });
  // @ts-expect-error no such field of the input
  activity({ queue: 'q', type: 't', input: z.object({ a: z.string() }), output: z.string(), args: ['b'] });
  // @ts-expect-error a workflow sends no heartbeats
  workflow({ queue: 'q', type: 't', input: z.object({}), output: z.string(), heartbeat: '5s' });

  const { output } = await executePipeline(client, both, { id: 'x', n: 1 }, { priority: 'batch' });
  const text: string = output.told;
  // @ts-expect-error the pipeline's output has no such field
  output.text;
  // @ts-expect-error the pipeline's input is missing
  await executePipeline(client, both, { n: 1 });
  // @ts-expect-error no priority
  await executePipeline(client, both, { id: 'x', n: 1 }, { priority: 'high' });
  return text;
}
