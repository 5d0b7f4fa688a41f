import type { ResolveHook } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { sourceFile } from './source-file.js';

export const isTypeScript = (url: string): boolean => /\.[cm]?ts$/.test(url.split('?', 1)[0] as string);

/**
 * Hook of Node’s module loader: a relative import in a TypeScript file may name the file that a compiler would write
 * (`./total.js` for `total.ts`), or omit the ending.
 */
export const resolve: ResolveHook = (specifier, context, next) => {
  const { parentURL } = context;
  if (!/^\.{1,2}\//.test(specifier) || !parentURL?.startsWith('file:') || !isTypeScript(parentURL))
    return next(specifier, context);
  const url = new URL(specifier, parentURL);
  const file = sourceFile(fileURLToPath(url));
  return next(file === undefined ? specifier : pathToFileURL(file).href + url.search, context);
};
