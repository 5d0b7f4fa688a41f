import { shuffled } from '../random.js';
import type { Pair } from './pairs.js';

/** A block of `written/frames.txt`. */
interface Frames {
  /** Four wordings or more of one question about a thing, which `@` stands for. */
  readonly same: readonly string[];
  /** Two other questions about it, or more. */
  readonly near: readonly string[];
  readonly things: readonly string[];
}

const fill = (frame: string, thing: string): string => frame.replaceAll('@', thing);

/**
 * For each thing of each block, by the numbers given: two rewordings, another question in the same and in other words, and the
 * question about another thing in the same and in other words.
 */
export function framePairs(blocks: readonly string[], random: () => number): Pair[] {
  return blocks.map(framesOf).flatMap(({ same, near, things }) =>
    things.flatMap((thing, i): Pair[] => {
      const [a = '', b = '', c = '', d = ''] = shuffled(same, random);
      const [other = '', another = ''] = shuffled(near, random);
      const kin = things[(i + 1 + Math.floor(random() * (things.length - 1))) % things.length] as string;
      const pair = (one: string, two: string, isSame: boolean, kind: string): Pair => ({
        a: one,
        b: two,
        same: isSame,
        kind,
      });
      return [
        pair(fill(a, thing), fill(b, thing), true, 'frame'),
        pair(fill(c, thing), fill(d, thing), true, 'frame'),
        pair(fill(a, thing), fill(other, thing), false, 'other-frame'),
        pair(fill(b, thing), fill(another, thing), false, 'other-frame'),
        pair(fill(a, thing), fill(a, kin), false, 'kin'),
        pair(fill(b, thing), fill(c, kin), false, 'kin'),
      ];
    }),
  );
}

function framesOf(block: string): Frames {
  const row = (sign: string): readonly string[] =>
    block
      .split('\n')
      .filter((line) => line.startsWith(`${sign} `))
      .flatMap((line) => line.slice(2).split(' | '));
  return { same: row('='), near: row('-'), things: row('@') };
}
