import { MillraceError } from '../../../pipelines/errors.js';

/** The output of this name. Throws `INVALID_OUTPUT` if the model did not return it. */
export function outputOf<T extends object>(outputs: ReadonlyMap<string, T>, name: string): T {
  const output = outputs.get(name);
  if (output) return output;
  const given = [...outputs.keys()].join(', ') || 'none';
  throw new MillraceError('INVALID_OUTPUT', `the model returned no output ${name} (its outputs: ${given})`);
}
