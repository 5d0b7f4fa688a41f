/** One of the patterns that a pattern is split into: all of them must match, or must not if `forbidden`. */
export interface Alternative {
  /** In the syntax of RE2. */
  readonly translated: string;
  /** Parts of the pattern with repetitions expanded. */
  readonly weight: number;
  readonly forbidden: boolean;
}

/** JavaScript's white space, which differs from RE2's, and its complement. */
const SPACE = '\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const NOT_SPACE =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
  '\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
const ANY = '[\\x{0}-\\x{10ffff}]';
const NONE = '[^\\x{0}-\\x{10ffff}]';
const LINE = '[^\\n\\r\\x{2028}\\x{2029}]';

/** Characters whose escapes the flag `u` allows without need. */
const SYNTAX = new Set('^$\\.*+?()[]{}|/');

/** Removes escapes that are valid only without `u`: `\-` and `\"` are common. */
export function withoutNeedlessEscapes(pattern: string): string {
  let inClass = false;
  return pattern.replaceAll(/\\([\s\S])|\[|\]/g, (part: string, escaped?: string) => {
    if (escaped === undefined) {
      inClass = part === '[';
      return part;
    }
    const needless = /[\x20-\x7e]/.test(escaped) && !/\w/.test(escaped) && !SYNTAX.has(escaped);
    return needless && !(inClass && escaped === '-') ? escaped : part;
  });
}

/**
 * Splits a pattern (valid with `u`) into the part after its leading look-aheads and each of these. A text says why it
 * cannot be split.
 */
export function alternativesOf(pattern: string): readonly Alternative[] | string {
  const heads: { body: string; forbidden: boolean }[] = [];
  let rest = pattern;
  for (let head = /^\^\(\?[=!]/.exec(rest); head; head = /^\^\(\?[=!]/.exec(rest)) {
    const [opening] = head;
    const end = closingOf(rest, 1);
    heads.push({ body: `^(?:${rest.slice(opening.length, end)})`, forbidden: opening.endsWith('!') });
    rest = `^${rest.slice(end + 1)}`;
    if (/^\^[*+?{]/.test(rest)) return 'repeats a look-ahead';
  }
  // In `^(?=a)b|c` the look-ahead does not apply to `c`.
  if (heads.length > 0 && hasChoice(rest)) return LOOKAROUND;
  const parts = [{ body: rest, forbidden: false }, ...heads];
  const translated: Alternative[] = [];
  for (const { body, forbidden } of parts) {
    const each = new Translation(body).result();
    if (typeof each === 'string') return each;
    translated.push({ ...each, forbidden });
  }
  return translated;
}

const LOOKAROUND =
  'uses a look-around, which takes more than linear time; look-aheads are supported only after a leading ^';

/** The tokens of a pattern; `(`, `)` and `|` have a meaning outside classes only. */
const TOKEN = /\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|[\s\S]/gu;

/** End of the group that opens at `start`. */
function closingOf(pattern: string, start: number): number {
  let depth = 0;
  for (const { 0: token, index } of pattern.slice(start).matchAll(TOKEN)) {
    if (token === '(') depth++;
    else if (token === ')') depth--;
    if (depth === 0) return start + index;
  }
  return pattern.length;
}

/** Whether there is a `|` outside all groups. */
function hasChoice(pattern: string): boolean {
  let depth = 0;
  for (const [token] of pattern.matchAll(TOKEN)) {
    if (token === '(') depth++;
    else if (token === ')') depth--;
    else if (token === '|' && depth === 0) return true;
  }
  return false;
}

/** A part of a pattern, longest first: escapes, groups, quantifiers, other characters. */
const PART =
  /\\u\{([0-9a-fA-F]+)\}|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\c([a-zA-Z])|\\([pP])\{([^}]*)\}|\\[kK1-9]|\\[\s\S]|\(\?(?:<?[=!]|:|<[^>]*>)|\{\d+(?:,\d*)?\}\??|[*+]\??|\?\??|[\s\S]/gu;

/** Translates a pattern from JavaScript's syntax to RE2's. */
class Translation {
  readonly #pattern: string;
  readonly #out: string[] = [];
  /** Weight of each open group, outermost first, and of the part that a quantifier would repeat. */
  readonly #groups: number[] = [0];
  #last = 0;
  #class: { readonly out: string[]; readonly negated: boolean } | undefined;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  /** A text says why the pattern cannot be matched. */
  result(): Pick<Alternative, 'translated' | 'weight'> | string {
    for (const part of this.#pattern.matchAll(PART)) {
      const wrong = this.#class ? this.#inClass(part) : this.#outside(part);
      if (wrong !== undefined) return wrong;
    }
    return { translated: this.#out.join(''), weight: 2 + (this.#groups[0] ?? 0) };
  }

  #outside(part: RegExpExecArray): string | undefined {
    const [token] = part;
    if (/^\(\?<?[=!]$/.test(token)) return LOOKAROUND;
    if (/^\\[kK1-9]$/.test(token)) return 'refers back to a group, which takes more than linear time';
    if (token.startsWith('(')) {
      this.#out.push('(?:');
      this.#groups.push(1);
      this.#last = 0;
    } else if (token === ')') {
      this.#out.push(')');
      this.#last = 0;
      this.#add(this.#groups.pop() ?? 0);
    } else if (/^(\{\d|[*+?])/.test(token)) return this.#repeat(token);
    else if (token === '[') this.#class = { out: [], negated: false };
    else if (token === '|' || token === '^' || token === '$') this.#atom(token);
    else if (token === '.') this.#atom(LINE);
    else if (token === '\\s') this.#atom(`[${SPACE}]`);
    else if (token === '\\S') this.#atom(`[^${SPACE}]`);
    else if (/^\\[bBdDwW]$/.test(token)) this.#atom(token);
    else this.#atom(characterOf(part), part[7] === undefined ? 1 : OF_UNICODE);
    return undefined;
  }

  #atom(text: string, weight = 1): void {
    this.#out.push(text);
    this.#add(weight);
  }

  #add(weight: number): void {
    this.#last = weight;
    this.#groups[this.#groups.length - 1] = (this.#groups.at(-1) ?? 0) + weight;
  }

  /** A quantifier: the repeated part counts as often as it may, or must, occur. */
  #repeat(token: string): string | undefined {
    const [, least, open, most] = /^\{(\d+)(,?)(\d*)\}/.exec(token) ?? [];
    const times = least === undefined ? 1 : Math.max(Number(least) + (open === ',' ? 1 : 0), Number(most || 0));
    if (times > MOST_TIMES) return `repeats a part more than ${MOST_TIMES} times; use maxLength or maxItems`;
    this.#add(this.#last * (times - 1) + times);
    this.#out.push(token);
    return undefined;
  }

  #inClass(part: RegExpExecArray): string | undefined {
    const [token] = part;
    const { out, negated } = this.#class ?? { out: [], negated: false };
    if (token === '^' && out.length === 0 && !negated) this.#class = { out, negated: true };
    else if (token === ']') {
      this.#class = undefined;
      const empty = negated ? ANY : NONE;
      const weight = out.some((each) => /^\\[pP]/.test(each)) ? OF_UNICODE : 1;
      this.#atom(out.length === 0 ? empty : `[${negated ? '^' : ''}${out.join('')}]`, weight);
    } else if (token === '\\s') out.push(SPACE);
    else if (token === '\\S') out.push(NOT_SPACE);
    else if (token === '\\b') out.push('\\x08');
    else if (token === '-' || /^\\[dDwW]$/.test(token)) out.push(token);
    // One part outside a class is several characters inside it.
    else if (token.length > 1 && !token.startsWith('\\')) out.push(...[...token].map(quoted));
    else out.push(characterOf(part));
    return undefined;
  }
}

/** Maximum repetitions of one part that RE2 expands. */
const MOST_TIMES = 1_000;
/** Weight of a class with hundreds of ranges, which takes longer to build. */
const OF_UNICODE = 25;

/** A character or a Unicode class, in any notation. */
function characterOf(part: RegExpExecArray): string {
  const [token, point, high, low, unit, byte, control, property, name = ''] = part;
  if (high !== undefined && low !== undefined) {
    return quoted(String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low, 16)));
  }
  const code = point ?? unit ?? byte;
  if (code !== undefined) return `\\x{${code}}`;
  if (control !== undefined) return `\\x{${(control.charCodeAt(0) % 32).toString(16)}}`;
  if (property !== undefined) return `\\${property}{${name.replace(/^(Script|sc|General_Category|gc)=/, '')}}`;
  if (token === '\\0') return '\\x{0}';
  if (/^\\[tnvfr]$/.test(token)) return token;
  return quoted(token.startsWith('\\') ? token.slice(1) : token);
}

/** A literal character. */
const quoted = (character: string): string => `\\x{${(character.codePointAt(0) ?? 0).toString(16)}}`;
