import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import type { Engine } from './messages.js';

/** Node's types lack it. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<Engine> };

const PACKAGES = ['quickjs-emscripten-core', '@jitl/quickjs-wasmfile-release-sync'];
const BINARY = '@jitl/quickjs-wasmfile-release-sync/wasm';

let loading: Promise<Engine> | undefined;

/**
 * Compiles QuickJS once for the process: calls share its code, and none of its memory. Throws `INVALID_SETTING` if its packages,
 * which are optional, are not installed.
 */
export function loadEngine(): Promise<Engine> {
  loading ??= compiled().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function compiled(): Promise<Engine> {
  const { resolve } = createRequire(import.meta.url);
  let file: string;
  try {
    for (const name of PACKAGES) resolve(name);
    file = resolve(BINARY);
  } catch (error) {
    const message = `the engine quickjs needs packages that cannot be loaded here (${messageOf(error).split('\n')[0]}): npm install ${PACKAGES.join(' ')}`;
    const fields = [{ field: 'MILLRACE_SANDBOXES', message }];
    throw new MillraceError('INVALID_SETTING', `MILLRACE_SANDBOXES: ${message}`, { fields }, { cause: error });
  }
  return await WebAssembly.compile(await readFile(file));
}
