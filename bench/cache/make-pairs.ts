/**
 * Makes the developer's set, the attacks and the verifier's training pairs from `written/` and the templates below. All texts were
 * written for this project; none is from Quora's pairs, MRPC, SICK or fow-cache. The same seed gives the same files.
 *
 *   npm run bench:cache -- make
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mulberry32, shuffled } from '../random.js';
import { attackPairs } from './attacks.js';
import { framePairs } from './frames.js';
import type { Pair } from './pairs.js';
import { templatePairs } from './templates.js';

const FOLDER = 'bench/cache';
const SEED = 17;
/** Blocks of intents in the developer's set; the others are for training. */
const DEVELOPER_BLOCKS = 18;

const linesOf = (file: string): string[] =>
  readFileSync(`${FOLDER}/written/${file}`, 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('#'));

/** `\n`, `\t` and `\u200b`: characters that would not be seen in a file. */
const unescaped = (text: string): string =>
  text.replace(/\\(?:n|t|u[0-9a-f]{4})/g, (written) => JSON.parse(`"${written}"`) as string);

function written(file: string, same: boolean): Pair[] {
  return linesOf(file).flatMap((line) => {
    const [kind, a, b] = line.split('\t').map(unescaped);
    return kind && a !== undefined && b !== undefined ? [{ a, b, same, kind }] : [];
  });
}

const blocksOf = (file: string): string[] =>
  linesOf(file)
    .join('\n')
    .split(/\n\n+/)
    .filter((block) => block.includes('='));

/** Every two wordings of a question are the same; every wording and each near question differ. */
function intents(file: string): Pair[][] {
  return blocksOf(file).map((block) => {
    const rows = (sign: string) =>
      block
        .split('\n')
        .filter((line) => line.startsWith(`${sign} `))
        .flatMap((line) => line.slice(2).split(' | '));
    const [same, near] = [rows('='), rows('-')];
    const pairs: Pair[] = [];
    for (const [i, a] of same.entries()) {
      for (const b of same.slice(i + 1)) pairs.push({ a, b, same: true, kind: 'rewording' });
      for (const b of near) pairs.push({ a, b, same: false, kind: 'near-question' });
    }
    return pairs;
  });
}

/** @returns the number of pairs of each file */
export function makePairs(): Record<string, number> {
  const random = mulberry32(SEED);
  const blocks = shuffled(intents('intents.txt'), random);
  const templates = shuffled(templatePairs(random), random);
  const cut = Math.floor(templates.length / 3);
  const frames = framePairs(blocksOf('frames.txt'), mulberry32(SEED + 1));
  const hand = [...written('near-misses.txt', false), ...written('same.txt', true)];
  const sets = {
    'sets/developer.jsonl': [...hand, ...blocks.slice(0, DEVELOPER_BLOCKS).flat(), ...templates.slice(0, cut)],
    'attacks/attacks.jsonl': attackPairs(),
    'training/pairs.jsonl': [
      ...blocks.slice(DEVELOPER_BLOCKS),
      ...intents('questions.txt'),
      templates.slice(cut),
      frames,
      written('small-same.txt', true),
      written('small-differences.txt', false),
    ].flat(),
  };
  for (const [file, pairs] of Object.entries(sets))
    writeFileSync(`${FOLDER}/${file}`, `${pairs.map((each) => JSON.stringify(each)).join('\n')}\n`);
  return Object.fromEntries(Object.entries(sets).map(([file, pairs]) => [file, pairs.length]));
}
