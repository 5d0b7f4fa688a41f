import { readFileSync } from 'node:fs';
import type { LoadHook } from 'node:module';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/wasm-typescript';
import { isTypeScript } from './resolve.js';

export { resolve } from './resolve.js';

/**
 * Hook of Node’s module loader for releases that do not take TypeScript: replaces types by spaces, so that lines and
 * columns stay, with the compiler that later releases of Node contain.
 */
export const load: LoadHook = (url, context, next) => {
  if (!url.startsWith('file:') || !isTypeScript(url)) return next(url, context);
  const filename = fileURLToPath(url);
  const source = readFileSync(filename, 'utf8');
  return { format: 'module', source: stripped(source, filename), shortCircuit: true };
};

function stripped(source: string, filename: string): string {
  try {
    return transformSync(source, { filename, mode: 'strip-only' }).code;
  } catch (error) {
    // The compiler throws objects that are no errors.
    const { message = String(error), startLine } = error as { message?: string; startLine?: number };
    throw new SyntaxError(`${filename}${startLine === undefined ? '' : `:${startLine}`}: ${message}`);
  }
}
