import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type FieldError, MillraceError, messageOf } from '../pipelines/errors.js';
import { sha256Hex } from '../pipelines/plan/hash.js';
import type { Passage } from '../pipelines/stages/index.js';

/** Errors collected before reading stops: enough to see a pattern. */
const MOST_MISTAKES = 20;

const line = z.strictObject({
  id: z.string().min(1).optional(),
  text: z.string().refine((text) => text.trim() !== '', 'it is empty'),
  metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

/**
 * Reads the passages of a JSON Lines file: `{"id"?, "text", "metadata"?}`, one per line; empty lines are skipped. A
 * line without an id gets one derived from its text, so that storing the same file twice yields the same passages.
 *
 * Throws `INVALID_INPUT` at the first invalid line.
 */
export async function* readPassages(file: string): AsyncGenerator<Passage, void> {
  for await (const { passage, mistake } of parsed(file)) {
    if (mistake) throw wrong(file, [mistake]);
    if (passage) yield passage;
  }
}

/**
 * Reads the whole file and returns the number of passages. Throws `INVALID_INPUT` with every invalid line, 20 at most.
 */
export async function checkPassages(file: string): Promise<number> {
  const mistakes: FieldError[] = [];
  let count = 0;
  for await (const { mistake } of parsed(file)) {
    if (!mistake) count += 1;
    else if (mistakes.push(mistake) === MOST_MISTAKES) break;
  }
  if (mistakes.length > 0) throw wrong(file, mistakes);
  return count;
}

async function* parsed(file: string): AsyncGenerator<{ passage?: Passage; mistake?: FieldError }, void> {
  const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  try {
    for await (const text of lines) {
      number += 1;
      if (text.trim() !== '') yield parse(text.replace(/^\ufeff/, ''), `line ${number}`);
    }
  } catch (error) {
    throw new MillraceError('INVALID_INPUT', `cannot read ${file}: ${messageOf(error)}`);
  }
}

function parse(text: string, field: string): { passage?: Passage; mistake?: FieldError } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { mistake: { field, message: `not JSON: ${messageOf(error)}` } };
  }
  const { success, data, error } = line.safeParse(value);
  if (!success) {
    const about = error.issues.map(({ path, message }) => [...path, message].join(': '));
    return { mistake: { field, message: about.join('; ') } };
  }
  const { id = sha256Hex(data.text).slice(0, 32), ...rest } = data;
  return { passage: { id, ...rest } };
}

const wrong = (file: string, fields: readonly FieldError[]) =>
  new MillraceError('INVALID_INPUT', `${file}: ${fields.map((f) => `${f.field}: ${f.message}`).join('\n  ')}`, {
    fields,
  });
