import { z } from 'zod';
import type { FieldError } from '../../pipelines/errors.js';
import { invalidField, invalidFields } from '../../pipelines/invalid-fields.js';

const line = z.strictObject({
  input: z.string({ error: 'give the text, the prompt or the path of the recording' }).min(1, 'is empty'),
  expected: z.union([z.string().min(1, 'is empty'), z.array(z.string().min(1, 'is empty')).min(1)]).optional(),
});

/** An input with the answers that are right. */
export interface Example {
  readonly input: string;
  readonly expected: readonly string[];
}

/** More examples take hours on a processor, and say little more. */
const MOST_LINES = 1_000;

/**
 * The author's evaluation set: lines of JSON, `{"input": …, "expected": …}`; `expected` may be a list, or absent. Throws
 * `INVALID_INPUT` naming every wrong line.
 */
export function readEvaluation(text: string, file: string): readonly Example[] {
  const mistakes: FieldError[] = [];
  const examples: Example[] = [];
  for (const [i, each] of text.split('\n').entries()) {
    if (each.trim() === '') continue;
    const parsed = line.safeParse(parsedJson(each));
    if (parsed.success) examples.push({ input: parsed.data.input, expected: [parsed.data.expected ?? []].flat() });
    else {
      const message = parsed.error.issues.map((issue) => [...issue.path, issue.message].join(': ')).join('; ');
      mistakes.push({ field: `${file}:${i + 1}`, message });
    }
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_INPUT', mistakes);
  if (examples.length === 0) throw invalidField(file, 'has no line: give {"input": …, "expected": …} in each');
  if (examples.length > MOST_LINES) throw invalidField(file, `has ${examples.length} lines: at most ${MOST_LINES}`);
  return examples;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
