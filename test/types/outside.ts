import { z } from 'zod';
import { defineKind, image, pipeline } from '../../pipelines/index.js';
import { failure, testPipeline } from '../../testing/index.js';

/** Mistakes with kinds from outside and in tests of pipelines; the compiler must refuse each. Never called. */
export async function mistakesOutside() {
  const segment = defineKind({
    name: 'acme/segment',
    input: z.object({ image: image() }),
    output: z.object({ regions: z.array(z.object({ label: z.string() })) }),
    effects: 'none',
    options: z.object({ threshold: z.number().default(0.5) }),
  });
  const plain = defineKind({ name: 'acme/plain', input: z.object({}), output: z.object({}), effects: 'possible' });
  // @ts-expect-error a kind says what its calls change
  defineKind({ name: 'acme/other', input: z.object({}), output: z.object({}) });
  // @ts-expect-error a pool serves it
  segment({ threshold: 0.7 });
  // @ts-expect-error the threshold is a number
  segment({ model: 'sam', threshold: 'high' });
  // @ts-expect-error there is no such option
  segment({ model: 'sam', treshold: 0.7 });
  // @ts-expect-error it has no options
  plain({ model: 'x', threshold: 0.7 });
  segment({ model: 'sam' });
  const input = z.object({ picture: image(), text: z.string() });
  const seen = pipeline('seen', { input }, ({ input, stage }) => {
    // @ts-expect-error text is no image
    stage('a', segment({ model: 'sam' }), { image: input.text });
    const { regions } = stage('b', segment({ model: 'sam' }), { image: input.picture });
    // @ts-expect-error the output has no such field
    stage('c', segment({ model: 'sam' }), { image: input.picture }).masks;
    return { regions };
  });
  // @ts-expect-error the input has no picture
  const run = await testPipeline(seen, { text: 'x' }, { stages: { b: failure('BACKEND_ERROR') } });
  // @ts-expect-error the output has no such field
  run.output.masks;
  // @ts-expect-error no code is named so
  failure('BACKEND_GONE');
  const labels: string[] = run.output.regions.map(({ label }) => label);
  return labels;
}
