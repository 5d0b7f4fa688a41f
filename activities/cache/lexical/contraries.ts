import { areOpposed } from '../verifier/thesaurus.js';
import { OPPOSITES } from './opposites.js';

const pairs = (list: string): ReadonlySet<string> => new Set(list.split('|').map((pair) => pair.trim()));

/** Beginnings that make words contrary where the rest is the same: `ascend` and `descend`, `inflate` and `deflate`. A dash is nothing. */
const BEGINNINGS = pairs(
  `- un|- in|- im|- il|- ir|- dis|- non|- non-|- un-|- mis|- de|- anti|- anti-|- under|- over|- pre|- pre-|- post|- post-|- re|- re-|- ex-|- sub|- super
   |un re|a de|ac de|ap de|at de|as dis|en de|in de|in ex|im ex|im e|in out|up down|over under|pre post|pro anti|pro re|con di|con dis|con re|ex re
   |hyper hypo|inter intra|macro micro|mono poly|mono bi|uni multi|max min|endo exo|sub super|bene male|opt pess|homo hetero|fore hind|fore back`,
);

/** Endings that do: `careful` and `careless`, `lessor` and `lessee`, `sugar` and `sugar-free`. */
const ENDINGS = pairs(`ful less|- less|d less|s less|- -free|s -free|r e|or ee|er ee|or ress|er ress|- ess|or rix`);

/** Two words that exclude each other: listed, opposites of the thesaurus, or contrary by how they begin or end. */
export function areContrary(a: string, b: string): boolean {
  if (OPPOSITES.get(a)?.has(b)) return true;
  return byBeginning(a, b) || byEnding(a, b) || areOpposed(a, b);
}

/** A stem of fewer letters says nothing: `it` and `bit`. */
const STEM = 3;

function byBeginning(a: string, b: string): boolean {
  let same = 0;
  while (same < Math.min(a.length, b.length) && a.at(-1 - same) === b.at(-1 - same)) same += 1;
  const [mine, other] = [a.slice(0, a.length - same), b.slice(0, b.length - same)];
  // `Typical` and `atypical`, but not `round` and `around`.
  const privative = same >= 5 && [mine, other].sort().join() === ',a';
  return privative || (same >= STEM && isPair(mine, other, BEGINNINGS));
}

function byEnding(a: string, b: string): boolean {
  let same = 0;
  while (same < Math.min(a.length, b.length) && a[same] === b[same]) same += 1;
  return same >= STEM && isPair(a.slice(same), b.slice(same), ENDINGS);
}

const isPair = (one: string, two: string, among: ReadonlySet<string>): boolean => {
  const [mine, other] = [one || '-', two || '-'];
  return among.has(`${mine} ${other}`) || among.has(`${other} ${mine}`);
};
