/**
 * The simple commands of a shell script as their words, without comments, redirections, keywords and variables set for one
 * command; those of substitutions (`$(…)`) come first. Enough of the shell for documentation.
 */
export function commandsOf(script: string): string[][] {
  const text = script.replaceAll(/\\\n\s*/g, ' ');
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | undefined;
  const endWord = () => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  const endCommand = () => {
    endWord();
    const own = withoutRedirections(words);
    const first = own.findIndex((each) => !/^\w+=/.test(each) && !KEYWORDS.has(each));
    if (first >= 0) commands.push(own.slice(first));
    words = [];
  };
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i] as string;
    const end = endOfQuoted(text, i, (inner) => commands.push(...commandsOf(inner)));
    if (end > i) {
      word = (word ?? '') + (c === '$' ? text.slice(i, end + 1) : text.slice(i + 1, end));
      i = end;
    } else if (c === '#' && word === undefined) {
      while (i + 1 < text.length && text[i + 1] !== '\n') i += 1;
    } else if ('\n|;&'.includes(c)) endCommand();
    else if (' \t'.includes(c)) endWord();
    else word = (word ?? '') + c;
  }
  endCommand();
  return commands;
}

const KEYWORDS: ReadonlySet<string> = new Set(['do', 'then', 'else', 'if', 'while', '!', 'done', 'fi']);

/**
 * Where what begins with a quote or `$(` at `start` ends; -1 if nothing begins there.
 * @param substituted takes the script of each substitution
 */
function endOfQuoted(text: string, start: number, substituted: (script: string) => void): number {
  const c = text[start];
  if (c === "'") return text.indexOf(c, start + 1);
  const substitutes = c === '$' && text[start + 1] === '(';
  if (c !== '"' && !substitutes) return -1;
  const from = substitutes ? start + 2 : start + 1;
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === (substitutes ? ')' : '"')) {
      if (substitutes) substituted(text.slice(from, i));
      return i;
    }
    // Inside double quotes a single quote is a character; the script of a substitution reports its own substitutions.
    if (!substitutes && text[i] === "'") continue;
    i = Math.max(i, endOfQuoted(text, i, substitutes ? () => undefined : substituted));
  }
  return -1;
}

function withoutRedirections(words: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < words.length; i += 1) {
    const each = words[i] as string;
    if (/^\d?[<>]{1,2}$/.test(each)) i += 1;
    else if (!/^\d?[<>]/.test(each) && each !== '{' && each !== '}') kept.push(each);
  }
  return kept;
}
