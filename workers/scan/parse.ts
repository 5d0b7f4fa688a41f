import { tsPlugin } from '@sveltejs/acorn-typescript';
import { Parser } from 'acorn';
import type { Node } from './node.js';

const TypeScript = Parser.extend(tsPlugin());
const OPTIONS = { ecmaVersion: 'latest', locations: true, allowHashBang: true } as const;

/** The syntax tree of a source file. Throws a `SyntaxError` with the place in its message. */
export function parseSource(source: string, file: string): Node {
  const parser = /\.[cm]?ts$/.test(file) ? TypeScript : Parser;
  const parse = (sourceType: 'module' | 'script'): Node =>
    parser.parse(source, {
      ...OPTIONS,
      sourceType,
      allowReturnOutsideFunction: sourceType === 'script',
    }) as unknown as Node;
  if (file.endsWith('.cjs') || file.endsWith('.cts')) return parse('script');
  try {
    return parse('module');
  } catch (error) {
    // A file `.js` may be a script of CommonJS.
    if (!file.endsWith('.js')) throw error;
    return parse('script');
  }
}
