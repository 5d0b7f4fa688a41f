import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** Two texts: `a` is cached, `b` is asked. `same`: the answer to `a` answers `b` too. */
export interface Pair {
  readonly a: string;
  readonly b: string;
  readonly same: boolean;
  readonly kind: string;
}

const pair = z.object({ a: z.string(), b: z.string(), same: z.boolean(), kind: z.string().default('any') });

/** The pairs of a JSON Lines file. Throws with file and line for a line that is no pair. */
export function readPairs(file: string): Pair[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      if (line.trim() === '') return [];
      try {
        return [pair.parse(JSON.parse(line))];
      } catch (error) {
        throw new Error(`${file}:${i + 1} is no pair {"a","b","same","kind"}: ${error}`, { cause: error });
      }
    });
}

/** Every `*.jsonl` of a folder, by name. */
export const readSets = (folder: string): [name: string, pairs: Pair[]][] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => [name, readPairs(path.join(folder, name))]);
