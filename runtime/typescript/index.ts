import module from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { isTypeScript, resolve } from './resolve.js';

export { sourceFile } from './source-file.js';

/** Imports a module of the user’s, by its path. TypeScript is loaded as Node 22.18 does it, on every release of Node. */
export async function importModule(file: string): Promise<object> {
  if (isTypeScript(file)) takeTypeScript();
  return (await import(pathToFileURL(path.resolve(file)).href)) as object;
}

/** Node’s own support of TypeScript: since 22.18 without a flag. */
const { typescript } = process.features as { readonly typescript?: string | false };
/** Since 22.15; without it hooks run in a thread of their own. */
const { registerHooks } = module as { readonly registerHooks?: (hooks: { resolve: typeof resolve }) => void };

let taken = false;

function takeTypeScript(): void {
  // Run from its own sources, in a test, Millrace is loaded by something that takes TypeScript.
  if (taken || isTypeScript(import.meta.url)) return;
  taken = true;
  if (typescript && registerHooks) registerHooks({ resolve });
  else module.register('./hooks.js', import.meta.url);
}
