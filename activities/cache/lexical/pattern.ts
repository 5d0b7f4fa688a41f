import { type Token, tokenOf } from './tokens.js';

/** The words of a pattern, compiled. See `REWRITES`. */
export type Pattern = readonly ReadonlySet<string>[];

export const compile = (text: string): Pattern => text.split(' ').map((part) => new Set(part.split('|')));

const is = (part: ReadonlySet<string> | undefined, sign: string): boolean => part?.has(sign) === true;

/** Stands for a word of the text. */
const isPlace = (part: string): boolean => part === '@' || part === '#';
const fits = (part: ReadonlySet<string>, word: string): boolean =>
  is(part, '@') || (is(part, '#') && /^(?:1[5-9]|20)\d\d$/.test(word)) || part.has(word);

/** How many tokens from `at` on a pattern without `*` covers; 0 if it does not match. */
export function lengthAt(tokens: readonly Token[], pattern: Pattern, at = 0): number {
  return pattern.every((part, i) => part.has(tokens[at + i]?.word ?? '')) ? pattern.length : 0;
}

interface Rewrite {
  readonly before: Pattern;
  readonly after: Pattern;
  readonly open: boolean;
  readonly form: readonly string[];
}

export function compileRewrite([pattern, form]: readonly [string, string]): Rewrite {
  const parts = compile(pattern);
  const star = parts.findIndex((part) => is(part, '*'));
  const open = star >= 0;
  return {
    before: open ? parts.slice(0, star) : parts,
    after: open ? parts.slice(star + 1) : [],
    open,
    form: form.split(' '),
  };
}

/** The text in the form of a rewrite; undefined if its pattern does not match. Words keep their capitals. */
export function rewritten(tokens: readonly Token[], { before, after, open, form }: Rewrite): Token[] | undefined {
  const rest = tokens.length - before.length - after.length;
  if (open ? rest < 1 : rest !== 0) return undefined;
  const matches = (pattern: Pattern, at: number) => pattern.every((part, i) => fits(part, tokens[at + i]?.word ?? ''));
  if (!matches(before, 0) || !matches(after, before.length + rest)) return undefined;
  const ends = [...tokens.slice(0, before.length), ...tokens.slice(before.length + rest)];
  const parts = [...before, ...after];
  const used = new Set<number>();
  return form.flatMap((part, i): Token[] => {
    if (part === '*') return tokens.slice(before.length, before.length + rest);
    // A choice or one word of the pattern is repeated as it stands in the text.
    const at = parts.findIndex((own, j) => !used.has(j) && (isPlace(part) ? is(own, part) : choiceOf(own) === part));
    const repeated = isPlace(part) || part.includes('|');
    if (repeated) used.add(at);
    return [repeated ? (ends[at] as Token) : tokenOf(part, i === 0)];
  });
}

const choiceOf = (part: ReadonlySet<string>): string => [...part].join('|');
