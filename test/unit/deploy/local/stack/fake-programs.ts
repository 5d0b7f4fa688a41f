import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Writes an executable shell script. */
export function script(folder: string, name: string, body: string): string {
  const file = path.join(folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

export interface FakePython {
  readonly version: string;
  readonly libraryFolder?: string | null;
  readonly venvs?: boolean;
  /** Shell lines run before its answer, for what else it is asked to do. */
  readonly before?: string;
}

/** An interpreter that gives this answer to whatever it is asked. */
export function fakePython(folder: string, name: string, answer: FakePython): string {
  const { version, libraryFolder = '/usr/lib', venvs = true, before = '' } = answer;
  const json = JSON.stringify({ version, libraryFolder, venvs, bits: 64 });
  return script(folder, name, `${before}\necho '${json}'`);
}
