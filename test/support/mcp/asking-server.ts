import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SERVER = 'test/fixtures/mcp-asking-server.mjs';

/** The file in which an asking server notes what it is asked and what it does. */
export class Notes {
  readonly file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'notes.log');

  constructor() {
    this.clear();
  }

  clear(): void {
    writeFileSync(this.file, '');
  }

  /** Lines that begin with a text. */
  all(beginning = ''): readonly string[] {
    return readFileSync(this.file, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && line.startsWith(beginning));
  }
}

/** An asking server in a process of the worker. */
export const askingOverStdio = (era: 'modern' | 'old', { file }: Notes) => ({
  command: process.execPath,
  args: [SERVER, era, 'stdio', file],
});

/** An asking server in a process of its own, which outlives a worker. */
export async function askingOverHttp(era: 'modern' | 'old', { file }: Notes) {
  const process_ = spawn(process.execPath, [SERVER, era, '0', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(process_.stdout, 'data')) as [Buffer];
  return {
    config: { url: `http://127.0.0.1:${line.toString().trim()}/mcp` },
    close: () => void process_.kill(),
  };
}
